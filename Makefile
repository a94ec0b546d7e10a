# Two commands are enough: `make demo` and `make test`. Both set everything up the first time.
#
#   make demo          two people on a bad link, then an evaluation bundle   (ARGS="--loss 0.3")
#   make test          linters and the whole test suite
#   make run           the call window
#   make train         train every model again                     (MINUTES=120 DATA=../shared/speech)
#   make bench         the figures of the README
#   make screenshots   the pictures of the README, under a virtual display
#   make translations  collect the window's texts for translators, compile what they wrote
#
# TORCH_INDEX=https://download.pytorch.org/whl/cpu saves the CUDA libraries on Linux.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
EXTRAS := dev,eval,train
MINUTES ?= 120
DATA ?= $(or $(SOTTOVOCE_SPEECH),../shared/speech)
CACHE ?= .cache/training
DEVICE ?= auto
ARGS ?=
export OMP_NUM_THREADS ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo run test pytest lint format train bench screenshots translations clean

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | head -n 11

$(VENV)/.system: .ci/system-packages
	@PYTHON="$(PYTHON)" .ci/system-packages
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Sottovoce needs Python 3.11 or newer; name one: make PYTHON=python3.12 demo"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: pyproject.toml $(VENV)/.system
	@echo "Installing Sottovoce into $(VENV) (a few minutes, once)"
	@$(BIN)/python -m pip install -qq --upgrade pip
	@$(BIN)/python -m pip install -qq $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch==2.13.0
	@$(BIN)/python -m pip install -qq -e ".[$(EXTRAS)]"
	@touch $@

setup: $(VENV)/.installed

demo: setup
	@$(BIN)/python -m app demo $(ARGS)

run: setup
	@$(BIN)/python -m app $(ARGS)

test: lint pytest

pytest: setup
	QT_QPA_PLATFORM=offscreen $(BIN)/python -m pytest $(ARGS)

lint: setup
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy

format: setup
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .

train: setup
	$(BIN)/python -m engine.training.all --data $(DATA) --cache $(CACHE) --minutes $(MINUTES) \
	  --device $(DEVICE) --install $(ARGS)

bench: setup
	$(BIN)/python -m benchmarks $(ARGS)

screenshots: setup
	xvfb-run -a -s "-screen 0 1600x1000x24" $(BIN)/python -m app.ui.screenshots assets/screenshots $(ARGS)

translations: setup
	@for ts in assets/translations/*.ts; do \
	  $(BIN)/pyside6-lupdate -silent -locations none -no-obsolete app/ui/*.py -ts $$ts && \
	  $(BIN)/pyside6-lrelease -silent $$ts || exit 1; done

clean:
	rm -rf $(VENV) .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info
