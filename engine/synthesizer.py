"""The synthesizer: spoken events and a voice become acoustic frames, one event at a time.

Durations are given, so the network is a frame-wise mapping. It looks back over about 0.4 s of its
own inputs, which travel in an explicit state, and ahead only through the description of the next
event, when that is known. The output is a pure function of (spoken, voice, state).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from engine.articulation import (
    CODE_DIM,
    SHAPE_BANDS,
    SHAPE_DIM,
    SHAPE_TIMES,
    Codebooks,
    band_basis,
    shape_basis,
)
from engine.errors import SottovoceError
from engine.event_scalars import (
    EVENT_SCALARS,
    PITCH_CENTRE,
    PITCH_SPREAD,
    event_scalars,
)
from engine.events import PhonemeEvent, pitch_hz
from engine.frames import AcousticFrames
from engine.mel import LOG_FLOOR, N_MELS
from engine.phonemes import N_PHONEMES, SILENCE
from engine.tap_conv import TapConv1d
from engine.voice import VOICE_DIM

F32 = NDArray[np.float32]
MAX_PLAY_TICKS = 60
UNKNOWN = N_PHONEMES  # the phoneme id of an event nobody has told us about yet
TICK_SCALARS = 6
WIDTH = 256
DILATIONS = (1, 2, 1, 2, 1, 2)  # of causal kernels of 3: the trunk sees 18 pairs of ticks back
CONTEXT_TICKS = 2 * 2 * sum(DILATIONS)
DB_TO_LN = float(np.log(10.0) / 20.0)


@dataclass(frozen=True, slots=True)
class SpokenEvent:
    """What playout asks to be spoken."""

    event: PhonemeEvent
    play_ticks: int
    """1 … MAX_PLAY_TICKS; may differ from ``event.duration_ticks`` (stretch or shrink)."""
    following: PhonemeEvent | None = None
    """The next event, if it is already known."""
    gain_db: float = 0.0
    """At most 0: the level of fading concealment."""


@dataclass(frozen=True)
class SynthesizerState:
    """Everything the next step needs of the past."""

    history: Tensor = field(default_factory=lambda: torch.zeros(0, WIDTH))
    """[≤ CONTEXT_TICKS, WIDTH] inputs of the ticks spoken last."""
    previous: PhonemeEvent | None = None
    semitone: float | None = None
    """Pitch of the last tick, held through unvoiced events; None before the first voiced one."""


def pitch_track(
    event: PhonemeEvent, play_ticks: int, last: float | None, following: PhonemeEvent | None
) -> F32 | None:
    """Semitone index at every tick of the event, [play_ticks]; None before any pitch is known.

    Linear from the last tick spoken through the event's two points towards the following event's
    first point; held where there is nothing to go to.
    """
    if not event.voiced:
        return None if last is None else np.full(play_ticks, last, np.float32)
    times = [0.25 * play_ticks - 0.5, 0.75 * play_ticks - 0.5]
    values = [float(event.pitch[0]), float(event.pitch[1])]
    if last is not None:
        times.insert(0, -1.0)
        values.insert(0, last)
    if following is not None and following.voiced:
        times.append(play_ticks + 0.25 * following.duration_ticks - 0.5)
        values.append(float(following.pitch[0]))
    return np.interp(np.arange(play_ticks), times, values).astype(np.float32)


def tick_scalars(play_ticks: int, voiced: bool, semitones: F32 | None) -> F32:
    """Position within the event and pitch, [play_ticks, TICK_SCALARS]."""
    since = np.arange(play_ticks) + 0.5
    left = play_ticks - since
    rows = np.zeros((play_ticks, TICK_SCALARS), np.float32)
    rows[:, 0] = since / play_ticks
    rows[:, 1] = np.minimum(since, 20) / 20
    rows[:, 2] = np.minimum(left, 20) / 20
    rows[:, 3] = float(voiced)
    if semitones is not None:
        rows[:, 4] = (semitones - PITCH_CENTRE) / PITCH_SPREAD
        rows[:, 5] = 1.0
    return rows


class Block(nn.Module):
    """Residual block: LayerNorm, causal convolution, voice bias, GELU, pointwise."""

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.norm = nn.LayerNorm(WIDTH)
        self.conv = TapConv1d(WIDTH, WIDTH, 3, dilation)
        self.voice = nn.Linear(128, WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.dropout = nn.Dropout(0.02)

    def forward(self, x: Tensor, voice: Tensor) -> Tensor:
        """x: [B, U, WIDTH], voice: [B, 128] → [B, U, WIDTH]."""
        padded = functional.pad(self.norm(x).transpose(1, 2), (2 * self.dilation, 0))
        y = self.conv(padded).transpose(1, 2) + self.voice(voice)[:, None]
        passed: Tensor = x + self.out(self.dropout(functional.gelu(y)))
        return passed


class SynthesizerNet(nn.Module):
    """Events and voice → normalised log-mel and voicing. Works at 50 Hz on pairs of ticks."""

    mel_mean: Tensor
    mel_std: Tensor
    bands: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.phoneme = nn.Embedding(N_PHONEMES + 1, 96)
        self.neighbour = nn.Embedding(N_PHONEMES + 1, 48)
        self.voice = nn.Sequential(nn.Linear(VOICE_DIM, 128), nn.GELU(), nn.Linear(128, 128))
        self.event = nn.Linear(96 + 2 * 48 + EVENT_SCALARS + 2 * CODE_DIM, WIDTH)
        self.tick = nn.Linear(TICK_SCALARS, WIDTH)
        # When within the event: which parts of its description count (feature-wise modulation,
        # Perez et al., 2018), so that codes can tell how a phoneme moves.
        gate = nn.Linear(64, WIDTH)
        nn.init.zeros_(gate.weight)
        self.place = nn.Sequential(nn.Linear(TICK_SCALARS, 64), nn.GELU(), gate)
        # The shape that codes describe, straight to the output; the trunk smooths its edges.
        self.shape = nn.Linear(CODE_DIM, SHAPE_DIM, bias=False)
        self.fold = nn.Linear(2 * WIDTH, WIDTH)
        self.blocks = nn.ModuleList(Block(d) for d in DILATIONS)
        self.norm = nn.LayerNorm(WIDTH)
        self.out = nn.Linear(WIDTH, 2 * (N_MELS + 1))
        self.codebooks = Codebooks()
        self.register_buffer("mel_mean", torch.zeros(N_MELS))
        self.register_buffer("mel_std", torch.ones(N_MELS))
        self.register_buffer("bands", band_basis(), persistent=False)

    def describe(self, ids: Tensor, scalars: Tensor, codes: Tensor, next_codes: Tensor) -> Tensor:
        """ids: [..., 3] phoneme, previous, next; scalars: [..., EVENT_SCALARS];
        codes, next_codes: [..., CODE_DIM] → [..., WIDTH]."""
        parts = (
            self.phoneme(ids[..., 0]),
            self.neighbour(ids[..., 1]),
            self.neighbour(ids[..., 2]),
        )
        joined: Tensor = self.event(torch.cat([*parts, scalars, codes, next_codes], -1))
        return joined

    def ticks(self, described: Tensor, scalars: Tensor) -> Tensor:
        """described: [..., T, WIDTH] of each tick's event; scalars: [..., T, TICK_SCALARS]."""
        moved = described * (1.0 + self.place(scalars))
        activated: Tensor = functional.gelu(moved + self.tick(scalars))
        return activated

    def shapes(self, codes: Tensor, basis: Tensor) -> Tensor:
        """What codes say straight about the output. codes: [..., T, CODE_DIM] of each tick's event;
        basis: [..., T, SHAPE_TIMES] of ``shape_basis`` → [..., T, N_MELS]."""
        terms = self.shape(codes).unflatten(-1, (SHAPE_TIMES, SHAPE_BANDS))
        shape: Tensor = (basis[..., None] * terms).sum(-2) @ self.bands.t()
        return shape

    def frames(self, ticks: Tensor, voice: Tensor) -> tuple[Tensor, Tensor]:
        """ticks: [B, T, WIDTH], T even; voice: [B, VOICE_DIM].

        Returns normalised log-mel [B, T, N_MELS] and voicing logits [B, T].
        """
        batch, length, _ = ticks.shape
        who = self.voice(voice)
        x = self.fold(ticks.reshape(batch, length // 2, 2 * WIDTH))
        for block in self.blocks:
            x = block(x, who)
        y = self.out(self.norm(x)).reshape(batch, length, N_MELS + 1)
        return y[..., :N_MELS], y[..., N_MELS]


class Synthesizer:
    """Streaming inference. Holds weights only: any number of calls may share one."""

    def __init__(self, net: SynthesizerNet | None = None) -> None:
        self._net = load_net() if net is None else net

    def initial_state(self) -> SynthesizerState:
        return SynthesizerState()

    @torch.inference_mode()
    def step(
        self, spoken: SpokenEvent, voice: F32, state: SynthesizerState
    ) -> tuple[AcousticFrames, SynthesizerState]:
        """Speak one event. voice: [VOICE_DIM]. Returns ``play_ticks`` frames and the next state.

        Raises SottovoceError when play_ticks, a phoneme, a code or the voice is out of range.
        """
        event, length, following = spoken.event, spoken.play_ticks, spoken.following
        _check(spoken, voice)
        net = self._net
        ids = torch.tensor(
            [
                event.phoneme,
                SILENCE if state.previous is None else state.previous.phoneme,
                UNKNOWN if following is None else following.phoneme,
            ]
        )
        row = event_scalars(event, length, state.previous, following)
        scalars = torch.tensor(row, dtype=torch.float32)
        codes = net.codebooks.decode(event.codes, event.phoneme)
        next_codes = torch.zeros(CODE_DIM)
        if following is not None:
            next_codes = net.codebooks.decode(following.codes, following.phoneme)
        semitones = pitch_track(event, length, state.semitone, following)
        here = net.ticks(
            net.describe(ids, scalars, codes, next_codes)[None],
            torch.from_numpy(tick_scalars(length, event.voiced, semitones)),
        )
        # Pairs are anchored at the event's start, so the past must hold a whole number of them.
        past = state.history[len(state.history) % 2 :]
        window = torch.cat([past, here, here[-1:]] if length % 2 else [past, here])
        who = torch.from_numpy(np.asarray(voice, np.float32))
        mel, voicing = net.frames(window[None], who[None])
        shape = net.shapes(codes[None], shape_basis(length, length))
        mel = (mel[0, len(past) : len(past) + length] + shape) * net.mel_std + net.mel_mean
        mel = (mel + spoken.gain_db * DB_TO_LN).clamp(float(np.log(LOG_FLOOR)), 5.0)
        f0 = np.zeros(length, np.float32)
        if semitones is not None and not event.is_silence:
            on = voicing[0, len(past) : len(past) + length].numpy() > 0
            f0[on] = [pitch_hz(float(s)) for s in semitones[on]]
        after = SynthesizerState(
            history=torch.cat([state.history, here])[-CONTEXT_TICKS - 1 :].clone(),
            previous=event,
            semitone=state.semitone if semitones is None else float(semitones[-1]),
        )
        return AcousticFrames(mel.numpy().copy(), f0), after


def _check(spoken: SpokenEvent, voice: F32) -> None:
    if not 1 <= spoken.play_ticks <= MAX_PLAY_TICKS:
        raise SottovoceError(f"play_ticks must be 1 … {MAX_PLAY_TICKS}, not {spoken.play_ticks}.")
    if np.shape(voice) != (VOICE_DIM,) or not np.isfinite(voice).all():
        raise SottovoceError(f"A voice is [{VOICE_DIM}] finite numbers: use descriptor_vector().")
    for event in (spoken.event, spoken.following):
        if event is not None and not 0 <= event.phoneme < N_PHONEMES:
            raise SottovoceError(f"Phoneme id {event.phoneme} is not in the inventory.")


@lru_cache(maxsize=1)
def load_net() -> SynthesizerNet:
    """The shipped network, shared by everyone. Raises WeightsError."""
    from engine.articulation import load_codec_part

    net = SynthesizerNet()
    load_codec_part(net, "synthesizer.")
    return net
