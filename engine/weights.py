"""Model weights on disk: safetensors in ``assets/models``, pinned by ``SHA256SUMS`` there.

Loading refuses a file that is missing, altered or of another shape, so that a damaged
installation says so instead of speaking noise.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from engine.errors import SottovoceError

MODELS_DIR = Path(__file__).resolve().parent.parent / "assets" / "models"
SUMS_NAME = "SHA256SUMS"


class WeightsError(SottovoceError):
    """A weights file that cannot be used."""


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _read_sums(directory: Path) -> dict[str, str]:
    path = directory / SUMS_NAME
    if not path.exists():
        return {}
    pairs = (line.split() for line in path.read_text().splitlines() if line.strip())
    return {name: digest for digest, name in pairs}


def load_weights(
    name: str, directory: Path = MODELS_DIR
) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Read ``NAME.safetensors``. Returns the tensors and the file's metadata.

    Raises WeightsError when the file is missing, unreadable or not the pinned one.
    """
    path = directory / f"{name}.safetensors"
    if not path.is_file():
        raise WeightsError(
            f"Model file {path} is missing: reinstall Sottovoce or run `make train`."
        )
    pinned = _read_sums(directory).get(path.name)
    if pinned != _sha256(path):
        raise WeightsError(
            f"Model file {path} does not match {SUMS_NAME}: reinstall Sottovoce or run `make train`."
        )
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            return tensors, dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"Model file {path} cannot be read ({error}): reinstall it.") from error


def save_weights(
    name: str,
    tensors: Mapping[str, torch.Tensor],
    metadata: Mapping[str, object],
    directory: Path = MODELS_DIR,
) -> Path:
    """Write ``NAME.safetensors`` (temporary name, then rename) and pin its hash. Returns the path."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{name}.safetensors"
    partial = path.with_suffix(".partial")
    plain = {key: value.detach().contiguous().cpu() for key, value in tensors.items()}
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in metadata.items()}
    save_file(plain, partial, metadata=texts)
    os.replace(partial, path)
    sums = _read_sums(directory) | {path.name: _sha256(path)}
    listing = "".join(f"{digest}  {file}\n" for file, digest in sorted(sums.items()))
    partial_sums = directory / f"{SUMS_NAME}.partial"
    partial_sums.write_text(listing)
    os.replace(partial_sums, directory / SUMS_NAME)
    return path


def load_module(module: torch.nn.Module, name: str, directory: Path = MODELS_DIR) -> dict[str, str]:
    """Load ``NAME.safetensors`` into ``module`` (strict) and switch it to eval. Returns metadata.

    Raises WeightsError when a tensor is missing, superfluous or of another shape.
    """
    tensors, metadata = load_weights(name, directory)
    try:
        module.load_state_dict({k: v.float() for k, v in tensors.items()}, strict=True)
    except RuntimeError as error:
        first = str(error).splitlines()[-1].strip()
        raise WeightsError(f"Model file {name}.safetensors does not fit: {first}") from error
    module.requires_grad_(False).eval()
    return metadata
