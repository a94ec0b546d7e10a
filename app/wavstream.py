"""A WAV that is readable at every moment while it grows.

The header is brought up to date once a second of sound, so a program that is killed leaves a
file that any player opens and that lacks at most the last second. A full disk latches
``problem``; writing then does nothing, because the call matters more than its recording.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Final

import numpy as np

from engine.errors import SottovoceError
from engine.events import Pcm
from engine.mel import SAMPLE_RATE_HZ

HEADER_BYTES: Final = 44
MAX_DATA_BYTES: Final = 0xFFFFFFFF - HEADER_BYTES  # a WAV's sizes are 32 bits: 37 hours


def wav_header(data_bytes: int) -> bytes:
    """The 44 bytes before 16-bit mono 16 kHz samples."""
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", data_bytes + HEADER_BYTES - 8, b"WAVE", b"fmt ", 16, 1, 1),
        *(SAMPLE_RATE_HZ, SAMPLE_RATE_HZ * 2, 2, 16, b"data", data_bytes),
    )


class WavStream:
    """16-bit mono 16 kHz, written as it comes. Not thread-safe: one writer."""

    def __init__(self, path: Path) -> None:
        """Raises SottovoceError when the file cannot be created."""
        try:
            self._file = path.open("wb", buffering=0)
            self._file.write(wav_header(0))
        except OSError as error:
            reason = error.strerror or str(error)
            raise SottovoceError(
                f"{path} cannot be written ({reason}): choose another folder."
            ) from error
        self.path = path
        self.samples = 0
        self.problem = ""
        """Why writing stopped; empty while all is well."""
        self._refreshed = 0

    def write(self, pcm: Pcm) -> None:
        """Append [N] float32; values beyond ±1 are clipped. Never raises."""
        if self.problem or not len(pcm):
            return
        data = np.round(np.clip(pcm, -1.0, 1.0) * 32767.0).astype("<i2").tobytes()
        if self.samples * 2 + len(data) > MAX_DATA_BYTES:
            self._stop("the recording reached the longest WAV there can be")
            return
        try:
            written = self._file.write(data) or 0
            self.samples += written // 2
            if written < len(data):
                self._stop("the disk is full")
            elif self.samples - self._refreshed >= SAMPLE_RATE_HZ:
                self.refresh()
        except OSError as error:
            self._stop(error.strerror or str(error))

    def refresh(self) -> None:
        """Make the header say what is there; called once a second of sound."""
        end = HEADER_BYTES + self.samples * 2
        self._file.seek(0)
        self._file.write(wav_header(self.samples * 2))
        self._file.seek(end)
        self._refreshed = self.samples

    def close(self) -> None:
        if self._file.closed:
            return
        try:
            self.refresh()
            if not self.problem:
                os.fsync(self._file.fileno())
        except OSError as error:
            self.problem = self.problem or error.strerror or str(error)
        self._file.close()

    def _stop(self, reason: str) -> None:
        self.problem = reason
        try:
            self._file.truncate(HEADER_BYTES + self.samples * 2)
            self.refresh()
        except OSError:
            return  # the header of a second ago still describes readable sound
