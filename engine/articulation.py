"""Articulation codes: how a phoneme sounded beyond what phoneme, pitch and voice predict.

The encoder looks at the event's log-mel frames and 50 ms on each side, summarises them in 32
numbers and quantises those in up to three stages of 8 bits (residual vector quantisation, as in
SoundStream). The synthesizer was trained together with it and adds the codes back.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from engine.errors import SottovoceError
from engine.events import CODE_LEVELS, MAX_EVENT_TICKS, MAX_LAYERS, PhonemeEvent
from engine.mel import N_MELS
from engine.phonemes import N_PHONEMES, SILENCE
from engine.voice import VOICE_DIM
from engine.weights import WeightsError, load_weights

F32 = NDArray[np.float32]
CODE_DIM = 32
CONTEXT_TICKS = 5  # frames of context the encoder reads on each side of the event
WIDTH = 128


class Codebooks(nn.Module):
    """The residual quantiser's codebooks, [MAX_LAYERS, CODE_LEVELS, CODE_DIM]."""

    vectors: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("vectors", torch.randn(MAX_LAYERS, CODE_LEVELS, CODE_DIM) * 0.1)

    def decode(self, codes: tuple[int, ...]) -> Tensor:
        """0 … MAX_LAYERS codes → their sum [CODE_DIM]; zeros without codes.

        Raises SottovoceError when there are too many codes or one is out of range.
        """
        if len(codes) > MAX_LAYERS or any(not 0 <= code < CODE_LEVELS for code in codes):
            raise SottovoceError(f"Articulation codes {codes} are not {MAX_LAYERS} bytes at most.")
        total = torch.zeros(CODE_DIM)
        for layer, code in enumerate(codes):
            total = total + self.vectors[layer, code]
        return total

    def quantise(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """latent: [N, CODE_DIM] → indices [N, MAX_LAYERS], stage vectors [N, MAX_LAYERS, CODE_DIM]."""
        rest, indices, chosen = latent, [], []
        for book in self.vectors:
            distance = (book * book).sum(1) - 2 * rest @ book.t()
            index = distance.argmin(1)
            picked = book[index]
            indices.append(index)
            chosen.append(picked)
            rest = rest - picked
        return torch.stack(indices, 1), torch.stack(chosen, 1)


class ArticulationNet(nn.Module):
    """Normalised log-mel of an utterance and its event boundaries → one latent an event."""

    mel_mean: Tensor
    mel_std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.phoneme = nn.Embedding(N_PHONEMES + 1, 48)
        self.voice = nn.Linear(VOICE_DIM, WIDTH)
        self.conv1 = nn.Conv1d(N_MELS + 1, WIDTH, 5)
        self.conv2 = nn.Conv1d(WIDTH, WIDTH, 5)
        self.conv3 = nn.Conv1d(WIDTH, WIDTH, 3)
        self.hidden = nn.Linear(3 * WIDTH + 3 * 48 + 2, 192)
        self.out = nn.Linear(192, CODE_DIM)
        self.codebooks = Codebooks()
        self.register_buffer("mel_mean", torch.zeros(N_MELS))
        self.register_buffer("mel_std", torch.ones(N_MELS))

    def frames(self, mel: Tensor, pitch: Tensor, voice: Tensor) -> Tensor:
        """mel: [B, T + 2 * CONTEXT_TICKS, N_MELS] normalised; pitch: same [B, …], 0 = unvoiced;
        voice: [B, VOICE_DIM] → [B, T, WIDTH]. Every output sees CONTEXT_TICKS frames each way."""
        x = torch.cat([mel, pitch[..., None]], -1).transpose(1, 2)
        x = functional.gelu(self.conv1(x) + self.voice(voice)[..., None])
        x = functional.gelu(self.conv2(x))
        return functional.gelu(self.conv3(x)).transpose(1, 2)

    def latents(self, pooled: Tensor, ids: Tensor, scalars: Tensor) -> Tensor:
        """pooled: [N, 3 * WIDTH]; ids: [N, 3]; scalars: [N, 2] (log length, energy) → [N, CODE_DIM]."""
        known = self.phoneme(ids).flatten(-2)
        latent: Tensor = self.out(functional.gelu(self.hidden(torch.cat([pooled, known, scalars], -1))))
        return latent


def pool_weights(length: int) -> F32:
    """[3, length]: weights of the mean, of the early and of the late half, each summing to 1."""
    position = (np.arange(length, dtype=np.float32) + 0.5) / length
    rows = np.stack([np.ones(length, np.float32), 1.0 - position, position])
    return np.asarray(rows / rows.sum(1, keepdims=True), np.float32)


def pitch_input(f0_hz: F32) -> F32:
    """f0 in Hz (0 = unvoiced) → the encoder's pitch input, about -1 … 1.5."""
    safe = np.maximum(f0_hz, 40.0)
    return np.where(f0_hz > 0, np.log2(safe / 155.6) + 0.5, 0.0).astype(np.float32)


class ArticulationEncoder:
    """Codes for one event at a time. Holds weights only."""

    def __init__(self, net: ArticulationNet | None = None) -> None:
        self._net = load_net() if net is None else net

    @torch.inference_mode()
    def latent(
        self,
        mel: F32,
        event: PhonemeEvent,
        previous: PhonemeEvent | None,
        following: PhonemeEvent | None,
        voice: F32,
        f0_hz: F32,
    ) -> F32:
        """The event's summary before quantisation, [CODE_DIM]. Arguments as for ``encode``."""
        net = self._net
        length = event.duration_ticks
        wanted = length + 2 * CONTEXT_TICKS
        if not 1 <= length <= MAX_EVENT_TICKS or mel.shape != (wanted, N_MELS):
            raise SottovoceError(
                f"An event of {length} ticks needs log-mel of [{wanted}, {N_MELS}], not {mel.shape}."
            )
        if f0_hz.shape != (wanted,) or np.shape(voice) != (VOICE_DIM,):
            raise SottovoceError(f"Articulation needs f0 [{wanted}] and a voice [{VOICE_DIM}].")
        x = (torch.from_numpy(np.ascontiguousarray(mel, np.float32)) - net.mel_mean) / net.mel_std
        who = torch.from_numpy(np.asarray(voice, np.float32))[None]
        frames = net.frames(x[None], torch.from_numpy(pitch_input(f0_hz))[None], who)[0]
        pooled = (torch.from_numpy(pool_weights(length)) @ frames).flatten()
        ids = torch.tensor(
            [
                event.phoneme,
                SILENCE if previous is None else previous.phoneme,
                N_PHONEMES if following is None else following.phoneme,
            ]
        )
        scalars = torch.tensor([np.log(length / 8.0), (event.energy - 12) / 6.0], dtype=torch.float32)
        latent = net.latents(pooled[None], ids[None], scalars[None])[0]
        return np.asarray(torch.nan_to_num(latent).numpy(), np.float32)

    @torch.inference_mode()
    def encode(
        self,
        mel: F32,
        event: PhonemeEvent,
        previous: PhonemeEvent | None,
        following: PhonemeEvent | None,
        voice: F32,
        f0_hz: F32,
    ) -> tuple[int, int, int]:
        """Codes of one event, coarse to fine.

        mel: [duration_ticks + 2 * CONTEXT_TICKS, 80] natural log, the event's frames with
        CONTEXT_TICKS on each side (repeat the edge frame where there is none); f0_hz: as many, 0 =
        unvoiced; voice: [VOICE_DIM]. Raises SottovoceError on other shapes.
        """
        latent = self.latent(mel, event, previous, following, voice, f0_hz)
        indices, _ = self._net.codebooks.quantise(torch.from_numpy(latent)[None])
        first, second, third = (int(i) for i in indices[0])
        return first, second, third


def load_codec_part(module: nn.Module, prefix: str) -> dict[str, str]:
    """Load the tensors of ``codec.safetensors`` under ``prefix`` into ``module``; eval mode.

    Returns the file's metadata. Raises WeightsError when they do not fit.
    """
    tensors, metadata = load_weights("codec")
    part = {k[len(prefix) :]: v.float() for k, v in tensors.items() if k.startswith(prefix)}
    for key in ("codebooks.vectors", "mel_mean", "mel_std"):
        if key in tensors:  # shared by both halves of the codec, stored once
            part[key] = tensors[key].float()
    try:
        module.load_state_dict(part, strict=True)
    except RuntimeError as error:
        first = str(error).splitlines()[-1].strip()
        raise WeightsError(f"Model file codec.safetensors does not fit: {first}") from error
    module.requires_grad_(False).eval()
    return metadata


@lru_cache(maxsize=1)
def load_net() -> ArticulationNet:
    """The shipped encoder, shared by everyone. Raises WeightsError."""
    net = ArticulationNet()
    load_codec_part(net, "articulation.")
    return net
