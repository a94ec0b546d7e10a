"""The command line: ``sottovoce``, ``./sottovoce`` and ``python -m app``.

Commands live in ``app/commands``; what is heavy is imported inside them, so that ``--help``
answers at once. Bad input ends with one line on standard error and exit code 1, wrong usage
with 2; a traceback is shown only when ``SOTTOVOCE_DEBUG`` is set.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import typer

from app.commands import calls, measure, speech
from engine.errors import SottovoceError

EXAMPLES = """
Examples:

  sottovoce                                   open the call window

  sottovoce demo --loss 0.3                   two people on a bad link, no microphone needed

  sottovoce encode talk.wav talk.sotto        a minute of speech in about two kilobytes

  sottovoce decode talk.sotto again.wav

  sottovoce simulate talk.wav out --loss 0.5  what arrives over a terrible link
"""

# typer brings click along, inside itself or beside it, as its version has it.
CLICK_EXCEPTION: Any = next(
    kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException"
)

cli = typer.Typer(
    name="sottovoce",
    help="A telephone for links that cannot carry a telephone call: it sends what was said and "
    "how, and speaks it again in the talker's voice.\n\n" + EXAMPLES,
    no_args_is_help=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"sottovoce {version('sottovoce')}")
        raise typer.Exit


@cli.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help="Print the version."
    ),
) -> None:
    if context.invoked_subcommand is None:
        calls.gui()


calls.register(cli)
speech.register(cli)
measure.register(cli)


def _complain(message: str) -> None:
    """One line on standard error, whatever the message looked like."""
    line = " ".join(str(message).split())
    print(f"sottovoce: {line}", file=sys.stderr)


def _wrong_usage(error: Any) -> str:
    """typer's message as a sentence, and where the right usage stands."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "sottovoce"
    message = error.format_message().strip()
    end = "" if message.endswith((".", "?", "!")) else "."
    return f"{message[:1].upper()}{message[1:]}{end} `{command} --help` shows how it is used."


def _one_thread_each() -> None:
    """Keep the numeric libraries to one thread: the models are small, a call has several threads
    of its own, and on a busy machine a pool of waiting ones makes everything ten times slower."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")


def _internal_error(error: Exception) -> None:
    from app.logs import finish_logging, set_up_logging

    path = set_up_logging()
    logging.getLogger(__name__).error("internal error", exc_info=error)
    finish_logging()  # who reads the message looks there next
    _complain(
        f"internal error ({type(error).__name__}: {error}). Details: {path or 'none'}; "
        "SOTTOVOCE_DEBUG=1 shows them here."
    )


def _with_command(arguments: Sequence[str]) -> list[str]:
    """``sottovoce:…`` alone, as a desktop passes a clicked link, is short for ``open sottovoce:…``."""
    is_link = len(arguments) == 1 and arguments[0].lower().startswith("sottovoce:")
    return ["open", *arguments] if is_link else list(arguments)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code: 0, 1 (bad input), 2 (usage), 130 (interrupted)."""
    _one_thread_each()
    if not os.environ.get("SOTTOVOCE_DEBUG"):
        warnings.simplefilter("ignore")  # libraries talking to their developers
    try:
        # --help and Ctrl-C return their code, a closed pipe leaves by SystemExit: typer's ways.
        given = sys.argv[1:] if arguments is None else arguments
        left = cli(args=_with_command(given), prog_name="sottovoce", standalone_mode=False)
        return left if isinstance(left, int) else 0
    except CLICK_EXCEPTION as error:
        _complain(_wrong_usage(error))
        return error.exit_code
    except typer.Abort:
        return 130
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except SottovoceError as error:
        _complain(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        _complain(f"{error.filename or 'input or output'}: {error.strerror or error}")
        return 1
    except MemoryError:
        _complain("not enough memory: give a shorter recording.")
        return 1
    except Exception as error:
        if os.environ.get("SOTTOVOCE_DEBUG"):
            raise
        _internal_error(error)
        return 1


def main() -> int:
    """Entry point of the ``sottovoce`` script."""
    return run()


if __name__ == "__main__":
    sys.exit(main())
