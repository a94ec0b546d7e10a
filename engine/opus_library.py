"""Finding libopus and talking to it: the raw C API, because wrappers hide FEC and concealment.

A path may be named; otherwise the system's library is tried, then the one PyAV's wheel bundles.
What a library can do beyond plain Opus is asked of the library itself, never guessed from its
version.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import sys
from ctypes import POINTER, byref, c_char_p, c_float, c_int, c_int32, c_void_p
from functools import lru_cache
from importlib import metadata
from typing import Final

from engine.errors import SottovoceError
from engine.mel import SAMPLE_RATE_HZ

APPLICATION_VOIP: Final = 2048
SET_BITRATE: Final = 4002
SET_COMPLEXITY: Final = 4010
SET_INBAND_FEC: Final = 4012
SET_PACKET_LOSS_PERC: Final = 4014
SET_DTX: Final = 4016
SET_SIGNAL: Final = 4024
SIGNAL_VOICE: Final = 3001
SET_DRED_DURATION: Final = 4050  # libopus 1.5 and later, where built in
MAX_PACKET_BYTES: Final = 1276  # one frame of 20 ms; longer VOIP frames stay far below
DEEP_PLC_COMPLEXITY: Final = 5  # decoders conceal by neural network from here on


class OpusLibrary:
    """The functions used here, typed. Pointers to states stay inside ``engine.opus``."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self.c = library
        library.opus_get_version_string.restype = c_char_p
        for kind in ("encoder", "decoder"):
            create = getattr(library, f"opus_{kind}_create")
            create.restype = c_void_p
            destroy = getattr(library, f"opus_{kind}_destroy")
            destroy.argtypes = [c_void_p]
            destroy.restype = None
        library.opus_encoder_create.argtypes = [c_int32, c_int, c_int, POINTER(c_int)]
        library.opus_decoder_create.argtypes = [c_int32, c_int, POINTER(c_int)]
        pcm = POINTER(c_float)
        library.opus_encode_float.argtypes = [c_void_p, pcm, c_int, c_char_p, c_int32]
        library.opus_decode_float.argtypes = [c_void_p, c_char_p, c_int32, pcm, c_int, c_int]
        library.opus_packet_get_nb_samples.argtypes = [c_char_p, c_int32, c_int32]

    @property
    def version(self) -> str:
        text: bytes = self.c.opus_get_version_string()
        return text.decode("ascii", "replace").removeprefix("libopus ")

    def new_encoder(self) -> c_void_p:
        """A mono 16 kHz VOIP encoder state. Raises SottovoceError when libopus refuses."""
        error = c_int()
        state = self.c.opus_encoder_create(SAMPLE_RATE_HZ, 1, APPLICATION_VOIP, byref(error))
        return self._state(state, error)

    def new_decoder(self) -> c_void_p:
        """A mono 16 kHz decoder state. Raises SottovoceError when libopus refuses."""
        error = c_int()
        return self._state(self.c.opus_decoder_create(SAMPLE_RATE_HZ, 1, byref(error)), error)

    @staticmethod
    def _state(state: int | None, error: c_int) -> c_void_p:
        if not state:
            raise SottovoceError(f"libopus refuses to start (error {error.value}): reinstall it.")
        return c_void_p(state)

    def control(self, state: c_void_p, request: int, value: int, *, encoder: bool) -> bool:
        """One ``opus_*_ctl`` call. False when the library does not know or refuses it."""
        function = self.c.opus_encoder_ctl if encoder else self.c.opus_decoder_ctl
        return int(function(state, c_int(request), c_int32(value))) == 0


def _bundled() -> list[str]:
    """libopus inside PyAV's wheel, where there is one."""
    try:
        files = metadata.files("av") or []
    except metadata.PackageNotFoundError:
        return []
    return [str(file.locate()) for file in files if "libopus" in file.name]


def _candidates() -> list[str]:
    name = {"win32": "opus.dll", "darwin": "libopus.0.dylib"}.get(sys.platform, "libopus.so.0")
    found = ctypes.util.find_library("opus")
    return [name, *([found] if found else []), *_bundled()]


@lru_cache(maxsize=4)
def load_opus(path: str | None = None) -> OpusLibrary:
    """libopus by path, or the first that loads. Raises SottovoceError saying what to install."""
    for candidate in [path] if path else _candidates():
        try:
            return OpusLibrary(ctypes.CDLL(candidate))
        except (OSError, AttributeError):
            continue
    if path:
        raise SottovoceError(f"{path} is not a libopus that can be loaded: check --opus-library.")
    raise SottovoceError("No libopus: install it (Debian/Ubuntu: `apt-get install libopus0`).")
