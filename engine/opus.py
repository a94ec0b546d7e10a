"""The Opus arm: PCM frames ↔ Opus packets, with libopus' own FEC and concealment really used.

One frame of 20, 40 or 60 ms goes in, one packet comes out, and back. A decoder never raises on
what the network sent: a packet it cannot read is concealed like a lost one.
"""

from __future__ import annotations

import contextlib
import ctypes
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from engine.errors import SottovoceError
from engine.events import Pcm
from engine.mel import SAMPLE_RATE_HZ
from engine.opus_library import (
    DEEP_PLC_COMPLEXITY,
    MAX_PACKET_BYTES,
    SET_BITRATE,
    SET_COMPLEXITY,
    SET_DRED_DURATION,
    SET_DTX,
    SET_INBAND_FEC,
    SET_PACKET_LOSS_PERC,
    SET_SIGNAL,
    SIGNAL_VOICE,
    load_opus,
)

FRAMES_MS: Final = (20, 40, 60)
MIN_RATE_BPS: Final = 6_000
MAX_RATE_BPS: Final = 64_000
MAX_FRAME_SAMPLES: Final = 60 * SAMPLE_RATE_HZ // 1000  # longer packets are refused
MAX_PAYLOAD_BYTES: Final = 3 * MAX_PACKET_BYTES
DTX_PAYLOAD_BYTES: Final = 2  # packets this short carry nothing and need not be sent


def _frame_samples(frame_ms: int) -> int:
    if frame_ms not in FRAMES_MS:
        raise SottovoceError(f"{frame_ms} ms is not an Opus frame here: give 20, 40 or 60.")
    return frame_ms * SAMPLE_RATE_HZ // 1000


def carries_fec(payload: bytes) -> bool:
    """Whether a packet holds a low-rate copy of the frame before it (RFC 6716, 4.2.3 and 4.2.4).

    Looks at packets of one SILK or hybrid frame, which is all the encoder here makes.
    """
    if len(payload) < 2 or payload[0] & 0x80 or payload[0] & 0x03:
        return False  # CELT only, or several frames
    config = payload[0] >> 3
    duration_code = config & 0x03 if config < 12 else config & 0x01
    silk_frames = max(1, duration_code) if config < 12 else 1
    return bool(payload[1] >> (7 - silk_frames) & 1)


class OpusEncoder:
    """libopus in VOIP mode, mono, 16 kHz."""

    def __init__(
        self,
        rate_bps: int,
        frame_ms: int = 20,
        fec: bool = False,
        expected_loss_percent: int = 0,
        dtx: bool = False,
        library: str | None = None,
    ) -> None:
        """Raises SottovoceError for a rate or frame out of range, or without libopus."""
        if not MIN_RATE_BPS <= rate_bps <= MAX_RATE_BPS:
            raise SottovoceError(
                f"{rate_bps} bit/s is not an Opus rate here: give {MIN_RATE_BPS} to {MAX_RATE_BPS}."
            )
        self.frame_samples = _frame_samples(frame_ms)
        self._opus = load_opus(library)
        self._state = self._opus.new_encoder()
        self._packet = ctypes.create_string_buffer(MAX_PAYLOAD_BYTES)
        self._control(SET_BITRATE, rate_bps)
        self._control(SET_SIGNAL, SIGNAL_VOICE)
        self._control(SET_DTX, int(dtx))
        self._control(SET_INBAND_FEC, int(fec))
        self.set_expected_loss(expected_loss_percent)

    def _control(self, request: int, value: int) -> None:
        if not self._opus.control(self._state, request, value, encoder=True):
            raise SottovoceError(f"libopus refuses setting {request} = {value}: update libopus.")

    def set_expected_loss(self, percent: int) -> None:
        """What the receiver reports: FEC spends bits in proportion. Clipped to 0 ... 100."""
        self._control(SET_PACKET_LOSS_PERC, min(max(percent, 0), 100))

    def encode(self, pcm: Pcm) -> bytes:
        """PCM of exactly one frame → one packet, ``DTX_PAYLOAD_BYTES`` or less in DTX silence.

        Raises SottovoceError when ``pcm`` is not one frame.
        """
        if pcm.shape != (self.frame_samples,):
            raise SottovoceError(
                f"An Opus frame is {self.frame_samples} samples, not {pcm.shape}: split the sound."
            )
        frame = np.ascontiguousarray(np.nan_to_num(pcm), np.float32)
        size: int = self._opus.c.opus_encode_float(
            self._state,
            frame.ctypes.data_as(ctypes.POINTER(ctypes.c_float)),
            self.frame_samples,
            self._packet,
            len(self._packet),
        )
        if size < 0:
            raise SottovoceError(f"libopus cannot encode (error {size}): reinstall libopus.")
        return self._packet.raw[:size]

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError):
            self._opus.c.opus_encoder_destroy(self._state)


class OpusDecoder:
    """Packets → PCM. Frames may change length between packets, up to 60 ms."""

    def __init__(
        self, frame_ms: int = 20, library: str | None = None, deep_plc: bool = False
    ) -> None:
        """``deep_plc`` asks for neural concealment, where ``opus_features`` finds it."""
        self._opus = load_opus(library)
        self._state = self._opus.new_decoder()
        self.frame_samples = _frame_samples(frame_ms)
        """Of the last packet read: what ``conceal`` makes."""
        self.unreadable = 0
        """Packets that could not be decoded and were concealed."""
        self._pcm = np.zeros(MAX_FRAME_SAMPLES, np.float32)
        if deep_plc:  # older libraries do not know this setting: classic concealment then
            self._opus.control(self._state, SET_COMPLEXITY, DEEP_PLC_COMPLEXITY, encoder=False)

    def packet_samples(self, payload: bytes) -> int | None:
        """Length of a packet's sound at 16 kHz, or None for what is no packet we accept."""
        if not 1 <= len(payload) <= MAX_PAYLOAD_BYTES:
            return None
        samples: int = self._opus.c.opus_packet_get_nb_samples(
            payload, len(payload), SAMPLE_RATE_HZ
        )
        return samples if 0 < samples <= MAX_FRAME_SAMPLES else None

    def decode(self, payload: bytes) -> Pcm:
        """One packet → its PCM (at most 60 ms); concealment when it cannot be read."""
        samples = self.packet_samples(payload)
        if samples is not None:
            pcm = self._run(payload, samples, fec=False)
            if pcm is not None:
                self.frame_samples = samples
                return pcm
        self.unreadable += 1
        return self.conceal()

    def decode_fec(self, next_payload: bytes) -> Pcm:
        """The frame *before* ``next_payload`` from the copy in it; concealed where it has none."""
        if self.packet_samples(next_payload) is None:
            return self.conceal()
        pcm = self._run(next_payload, self.frame_samples, fec=True)
        return self.conceal() if pcm is None else pcm

    def conceal(self) -> Pcm:
        """One frame invented from what was heard last, fading over successive calls."""
        pcm = self._run(None, self.frame_samples, fec=False)
        return np.zeros(self.frame_samples, np.float32) if pcm is None else pcm

    def _run(self, payload: bytes | None, samples: int, *, fec: bool) -> Pcm | None:
        count: int = self._opus.c.opus_decode_float(
            self._state,
            payload,
            len(payload) if payload else 0,
            self._pcm.ctypes.data_as(ctypes.POINTER(ctypes.c_float)),
            samples,
            int(fec),
        )
        if count <= 0:
            return None
        pcm = np.nan_to_num(self._pcm[:count], posinf=0.0, neginf=0.0)
        return np.asarray(np.clip(pcm, -1.0, 1.0), np.float32)

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError):
            self._opus.c.opus_decoder_destroy(self._state)


@dataclass(frozen=True, slots=True)
class OpusOptions:
    """Which libopus to use, and what of it beyond the standard."""

    library: str | None = None
    """A path; None: the system's."""
    deep_plc: bool = False
    """Conceal by neural network."""

    def check(self) -> OpusOptions:
        """Itself. Raises SottovoceError where the library is none or cannot do what is asked."""
        features = opus_features(self.library)
        if self.deep_plc and not features.deep_plc:
            raise SottovoceError(
                f"libopus {features.version} was built without deep PLC: name one that has it with "
                "--opus-library (sottovoce doctor --opus-library PATH tells)."
            )
        return self


@dataclass(frozen=True, slots=True)
class OpusFeatures:
    """What one libopus can do."""

    version: str
    fec: bool
    """In-band forward error correction is accepted."""
    dred: bool
    """Deep redundancy (1.5 and later) was built in."""
    deep_plc: bool
    """The decoder conceals with its neural network when asked to."""


def _buzz() -> Pcm:
    """300 ms of a 120 Hz voice-like buzz: something a concealment can go on with."""
    t = np.arange(round(0.3 * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    harmonics = np.arange(1, 25)[:, None]
    return np.asarray(
        0.1 * (np.sin(2 * np.pi * 120 * harmonics * t) / harmonics).sum(0), np.float32
    )


@lru_cache(maxsize=4)
def opus_features(library: str | None = None) -> OpusFeatures:
    """Ask a libopus what it can do. Raises SottovoceError when there is none."""
    opus = load_opus(library)
    state = opus.new_encoder()
    try:
        fec = opus.control(state, SET_INBAND_FEC, 1, encoder=True)
        dred = opus.control(state, SET_DRED_DURATION, 10, encoder=True)
    finally:
        opus.c.opus_encoder_destroy(state)
    # No control tells whether the neural concealment was built in: listen for it.
    frames = _buzz().reshape(-1, 320)
    heard = []
    for deep in (False, True):
        encoder = OpusEncoder(24_000, 20, library=library)
        decoder = OpusDecoder(20, library=library, deep_plc=deep)
        for frame in frames:
            decoder.decode(encoder.encode(frame))
        heard.append(np.concatenate([decoder.conceal() for _ in range(3)]))
    return OpusFeatures(opus.version, fec, dred, not np.array_equal(heard[0], heard[1]))
