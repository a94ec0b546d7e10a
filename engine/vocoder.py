"""The streaming vocoder: acoustic frames in, PCM out, state carried by the caller.

Any split of the frames gives the same samples, because every random draw and every filter tail
hangs on the frame's number in the stream. One ``Vocoder`` may serve any number of streams; it must
never keep anything of one in itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from engine.errors import SottovoceError
from engine.events import Pcm
from engine.frames import AcousticFrames
from engine.mel import HOP, N_MELS
from engine.source_filter import (
    FFT,
    LEAD,
    LOBE_HZ,
    LOOKAHEAD,
    NOISE_READING,
    SEGMENT,
    SILENT_MEL,
    SUBFRAMES,
    SUBHOP,
    FilterParameters,
    SourceFilter,
    overlap_add,
    pitch_track,
    pulse_train,
)
from engine.weights import load_module

NOISE_SEED = 20_201
NOISE_FRAMES = 3_001  # frames of stored noise: 30 s before it repeats, too long to hear
MEL_RANGE = (SILENT_MEL, 3.0)  # nepers: digital silence to beyond full scale
F0_RANGE_HZ = (40.0, 700.0)
BREATH_TRIM = -2.5  # nepers taken off the noise in bands where harmonics rule
BREATH_SLOPE, BREATH_BIAS = 2.0, 2.0  # … as a logistic function of their lead in nepers
TAIL = FFT + HOP - SUBHOP  # samples of filter response still to come after a frame was emitted


@lru_cache(maxsize=1)
def _noise_table() -> np.ndarray:
    """White noise of unit variance [NOISE_FRAMES, HOP], the same in every process."""
    return np.random.default_rng(NOISE_SEED).standard_normal((NOISE_FRAMES, HOP))


def clarify(parameters: FilterParameters, f0_hz: Tensor) -> FilterParameters:
    """Take breath out of the bands of voiced frames that harmonics rule. f0_hz: [B, T].

    A model that minimises a spectral distance fills the valleys between harmonics, and the more so
    the blurrier its frames are; listeners hear hoarseness. Bands that noise rules, as in z and v,
    stay as they are.
    """
    each = f0_hz.repeat_interleave(SUBFRAMES, dim=1)[:, :, None]
    spread = torch.log(each.clamp_min(LOBE_HZ) / LOBE_HZ)
    lead = parameters.harmonic - spread - parameters.noise - float(np.log(NOISE_READING))
    share = torch.sigmoid(BREATH_SLOPE * lead + BREATH_BIAS) * (each > 0)
    return replace(parameters, noise=parameters.noise + BREATH_TRIM * share)


@dataclass(frozen=True, slots=True)
class VocoderState:
    """Everything one stream carries from one call to the next. Treat it as a value."""

    frame: int
    """Frames pushed so far: picks the noise."""
    past: tuple[Tensor, ...]
    """History of the network's convolutions."""
    mel: Tensor
    """[LOOKAHEAD, 80] frames pushed but not yet spoken."""
    f0_hz: np.ndarray
    """[LOOKAHEAD] their pitch."""
    phase: float
    """Pitch phase in radians at the next sample of excitation."""
    excitation: np.ndarray
    """[4, LEAD] its last samples: pulses, noise, cosine, sine."""
    tail: np.ndarray
    """[TAIL] filter responses that belong to samples not yet emitted."""


class Vocoder:
    """Speaks acoustic frames with the trained source-filter network.

    Raises WeightsError when the shipped weights are missing or damaged.
    """

    LOOKAHEAD_FRAMES = LOOKAHEAD + 1  # the network's, and one for overlapping segments

    def __init__(self, network: SourceFilter | None = None) -> None:
        """``network`` replaces the shipped model, for training and tests."""
        if network is None:
            network = SourceFilter()
            load_module(network, "vocoder")
        self._network = network.requires_grad_(False).eval()

    def initial_state(self) -> VocoderState:
        """The state of a stream that has been silent for ever."""
        return VocoderState(
            frame=0,
            past=tuple(self._network.initial_past()),
            mel=torch.full((LOOKAHEAD, N_MELS), SILENT_MEL),
            f0_hz=np.zeros(LOOKAHEAD, np.float32),
            phase=0.0,
            excitation=np.zeros((4, LEAD)),
            tail=np.zeros(TAIL, np.float32),
        )

    @torch.inference_mode()
    def step(self, frames: AcousticFrames, state: VocoderState) -> tuple[Pcm, VocoderState]:
        """Speak T frames. Returns T * 160 samples, LOOKAHEAD_FRAMES late, and the next state.

        Values that are not finite or out of range are pulled into it. Raises SottovoceError when
        the frames' shapes are wrong.
        """
        count = len(frames.mel)
        if frames.mel.shape != (count, N_MELS) or frames.f0_hz.shape != (count,):
            raise SottovoceError(
                f"Acoustic frames must be [T, {N_MELS}] and [T], not {frames.mel.shape} and "
                f"{frames.f0_hz.shape}."
            )
        if count == 0:
            return np.zeros(0, np.float32), state
        clean_mel = np.nan_to_num(frames.mel, nan=SILENT_MEL, posinf=0.0, neginf=SILENT_MEL)
        clean_mel = np.clip(clean_mel, *MEL_RANGE).astype(np.float32)
        f0 = np.nan_to_num(frames.f0_hz, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float32)
        f0 = np.where(f0 > 0, np.clip(f0, *F0_RANGE_HZ), 0.0).astype(np.float32)

        pushed_mel = torch.from_numpy(clean_mel)
        raw, past = self._network(pushed_mel[None], torch.from_numpy(f0)[None], list(state.past))
        mel = torch.cat([state.mel, pushed_mel])
        pitch = np.concatenate([state.f0_hz, f0])
        parameters = self._network.parameters_of(
            raw, mel[None, :count], torch.from_numpy(pitch[:count])[None]
        )
        parameters = clarify(parameters, torch.from_numpy(pitch[:count])[None])
        fresh, phase = self._excite(f0, state)
        excitation = np.concatenate([state.excitation, fresh], axis=1)
        used = (2 * count - 1) * SUBHOP + SEGMENT
        segments = self._network.render(
            parameters, torch.from_numpy(excitation[:, :used].astype(np.float32))[None]
        )
        spoken = overlap_add(segments)[0].numpy()
        # The tail starts at the first sample to emit; the first segment LEAD before the frame.
        offset = HOP - LEAD
        total = np.zeros(count * HOP + TAIL, np.float32)
        total[:TAIL] = state.tail
        total[offset : offset + len(spoken)] += spoken
        following = VocoderState(
            frame=state.frame + count,
            past=tuple(past),
            mel=mel[count:],
            f0_hz=pitch[count:],
            phase=phase,
            excitation=excitation[:, -LEAD:],
            tail=total[count * HOP :],
        )
        return total[: count * HOP], following

    @staticmethod
    def _excite(f0_hz: np.ndarray, state: VocoderState) -> tuple[np.ndarray, float]:
        """Pulses, noise, cosine and sine of the pitch phase: [4, T * HOP] and the next phase."""
        pulses, angle, phase = pulse_train(pitch_track(f0_hz, float(state.f0_hz[-1])), state.phase)
        rows = (state.frame + np.arange(len(f0_hz))) % NOISE_FRAMES
        noise = _noise_table()[rows].reshape(-1)
        return np.stack([pulses, noise, np.cos(angle), np.sin(angle)]), phase
