"""Articulation codes: how a phoneme sounded beyond what phonemes, prosody and voice predict.

The encoder reads the shape of an event's spectrum over its time (a few cosine terms each way),
takes away what anybody could have guessed from the phonemes, the prosody and the voice, and
quantises the rest in up to four stages of 8 bits (residual vector quantisation, several paths
kept; the manner of articulation picks the codebooks). The synthesizer was trained on these codes
and adds the shape back.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engine.errors import SottovoceError
from engine.event_scalars import OWN_SCALARS, event_scalars
from engine.events import CODE_LEVELS, MAX_EVENT_TICKS, MAX_LAYERS, PhonemeEvent
from engine.mel import N_MELS
from engine.phonemes import N_PHONEMES, PHONEME_ID, SILENCE, VOWELS
from engine.voice import VOICE_DIM
from engine.weights import WeightsError, load_weights

F32 = NDArray[np.float32]
CODE_DIM = 64
SHAPE_TIMES, SHAPE_BANDS = 3, 24  # cosine terms over an event's time and over the mel bands
SHAPE_DIM = SHAPE_TIMES * SHAPE_BANDS
GUESS_WIDTH = 256
PATHS = 4  # kept from stage to stage: 6 % less error with all codes than by one …
FIRST_WEIGHT = 0.6  # … and with this half a percent more with one code, without it 4 %


def _manners() -> Tensor:
    """[N_PHONEMES + 1] which codebooks a phoneme uses: vowels, sonorants, fricatives, the rest."""
    groups = ("m n ŋ l ɹ w j ɾ", "f v θ ð s z ʃ ʒ h")
    table = torch.full((N_PHONEMES + 1,), MANNERS - 1)
    table[list(VOWELS)] = 0
    for manner, group in enumerate(groups, 1):
        table[[PHONEME_ID[name] for name in group.split()]] = manner
    return table


MANNERS = 4
MANNER = _manners()


def shape_basis(length: int | Tensor, longest: int) -> Tensor:
    """Cosine terms at the ticks of an event, orthogonal and of unit power.

    length: ticks, one or [N] → [longest, SHAPE_TIMES] or [N, longest, SHAPE_TIMES], 0 beyond the
    end. Events of one or two ticks have only as many terms.
    """
    lengths = torch.as_tensor(length)[..., None]
    ticks = torch.arange(longest, device=lengths.device)
    position = (ticks + 0.5) / lengths
    inside = (ticks < lengths).float()
    rows = [inside]
    for k in range(1, SHAPE_TIMES):
        rows.append(2**0.5 * torch.cos(torch.pi * k * position) * inside * (lengths > k))
    return torch.stack(rows, -1)


def band_basis() -> Tensor:
    """The first cosine terms over the mel bands, orthonormal. [N_MELS, SHAPE_BANDS]."""
    place = (torch.arange(N_MELS) + 0.5) / N_MELS
    rows = torch.cos(torch.pi * place[:, None] * torch.arange(SHAPE_BANDS))
    return rows / rows.square().sum(0, keepdim=True).sqrt()


class Codebooks(nn.Module):
    """Residual codebooks, [MANNERS, MAX_LAYERS, CODE_LEVELS, CODE_DIM]."""

    vectors: Tensor

    def __init__(self) -> None:
        super().__init__()
        shape = (MANNERS, MAX_LAYERS, CODE_LEVELS, CODE_DIM)
        self.register_buffer("vectors", torch.randn(shape) * 0.1)

    def decode(self, codes: tuple[int, ...], phoneme: int) -> Tensor:
        """0 … MAX_LAYERS codes of an event → their sum [CODE_DIM]; zeros without codes.

        Raises SottovoceError when there are too many codes or one is out of range.
        """
        if len(codes) > MAX_LAYERS or any(not 0 <= code < CODE_LEVELS for code in codes):
            raise SottovoceError(f"Articulation codes {codes} are not {MAX_LAYERS} bytes at most.")
        total = torch.zeros(CODE_DIM)
        books = self.vectors[int(MANNER[phoneme])]
        for layer, code in enumerate(codes):
            total = total + books[layer, code]
        return total

    def quantise(self, latent: Tensor, phoneme: Tensor) -> tuple[Tensor, Tensor]:
        """latent: [N, CODE_DIM], phoneme: [N] → indices [N, MAX_LAYERS], stage vectors
        [N, MAX_LAYERS, CODE_DIM].

        The PATHS best choices are kept at every stage (M-search, Bhattacharya et al., 1991).
        """
        manner = MANNER.to(phoneme.device)[phoneme]
        indices = torch.zeros(len(latent), MAX_LAYERS, dtype=torch.int64, device=latent.device)
        chosen = latent.new_zeros(len(latent), MAX_LAYERS, CODE_DIM)
        for m in set(manner.tolist()):  # a call has one event at a time: no work for the others
            books, rows = self.vectors[m], manner == m
            found = _best_paths(latent[rows], books)
            indices[rows] = found
            chosen[rows] = books[torch.arange(MAX_LAYERS, device=found.device), found]
        return indices, chosen


def _best_paths(latent: Tensor, books: Tensor) -> Tensor:
    """latent: [N, D], books: [stages, K, D] → indices [N, stages] of the closest sum found, when
    the error after the first stage counts for something too: often no more codes arrive."""
    rest, first = latent[:, None], latent.new_zeros((len(latent), 1))
    paths = latent.new_zeros((len(latent), 1, 0), dtype=torch.int64)
    for stage, book in enumerate(books):
        power = rest.square().sum(2, keepdim=True)
        error = power - 2 * rest @ book.t() + book.square().sum(1)  # [N, paths, K]
        cost = error + FIRST_WEIGHT * first[..., None]
        best = cost.flatten(1).topk(PATHS, largest=False).indices
        origin, entry = best // len(book), best % len(book)
        first = first.gather(1, origin) if stage else error.flatten(1).gather(1, best)
        rest = rest.gather(1, origin[..., None].expand(-1, -1, rest.shape[2])) - book[entry]
        kept = paths.gather(1, origin[..., None].expand(-1, -1, paths.shape[2]))
        paths = torch.cat([kept, entry[..., None]], 2)
    return paths[:, 0]


class ShapeGuess(nn.Module):
    """What the shape of an event will be, by all that is told before its codes."""

    def __init__(self) -> None:
        super().__init__()
        self.phoneme = nn.Embedding(N_PHONEMES + 1, 48)
        self.layers = nn.Sequential(
            nn.Linear(2 * 48 + OWN_SCALARS + VOICE_DIM, GUESS_WIDTH),
            nn.GELU(),
            nn.Linear(GUESS_WIDTH, SHAPE_DIM),
        )

    def forward(self, ids: Tensor, scalars: Tensor, voice: Tensor) -> Tensor:
        """ids: [..., 2] phoneme and previous one; scalars: [..., OWN_SCALARS] of
        ``event_scalars`` at the event's own length; voice: [..., VOICE_DIM] → [..., SHAPE_DIM]."""
        known = self.phoneme(ids).flatten(-2)
        guessed: Tensor = self.layers(torch.cat([known, scalars, voice], -1))
        return guessed


class ArticulationNet(nn.Module):
    """Normalised log-mel of an utterance and its event boundaries → one latent an event."""

    mel_mean: Tensor
    mel_std: Tensor
    bands: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.guess = ShapeGuess()
        self.project = nn.Linear(SHAPE_DIM, CODE_DIM, bias=False)
        self.codebooks = Codebooks()
        self.register_buffer("mel_mean", torch.zeros(N_MELS))
        self.register_buffer("mel_std", torch.ones(N_MELS))
        self.register_buffer("bands", band_basis(), persistent=False)

    def shapes(self, mel: Tensor, lengths: Tensor) -> Tensor:
        """Cosine terms of N events. mel: [N, L, N_MELS] normalised, lengths: [N] → [N, SHAPE_DIM]."""
        basis = shape_basis(lengths, mel.shape[1])
        terms = torch.einsum("nlt,nlb->ntb", basis, mel @ self.bands)
        return (terms / lengths[:, None, None]).flatten(1)

    def latents(
        self, mel: Tensor, lengths: Tensor, ids: Tensor, scalars: Tensor, voice: Tensor
    ) -> Tensor:
        """What there is to say about N events, [N, CODE_DIM].

        mel: [N, L, N_MELS] normalised, each event's frames, padded at the end; lengths: [N];
        the rest as for ``ShapeGuess``.
        """
        surprise = self.shapes(mel, lengths) - self.guess(ids, scalars, voice)
        latent: Tensor = self.project(surprise)
        return latent


class ArticulationEncoder:
    """Codes for one event at a time. Holds weights only."""

    def __init__(self, net: ArticulationNet | None = None) -> None:
        self._net = load_net() if net is None else net

    @torch.inference_mode()
    def latent(
        self, mel: F32, event: PhonemeEvent, previous: PhonemeEvent | None, voice: F32
    ) -> F32:
        """The event's surprise before quantisation, [CODE_DIM]. Arguments as for ``encode``."""
        net = self._net
        length = event.duration_ticks
        if not 1 <= length <= MAX_EVENT_TICKS or mel.shape != (length, N_MELS):
            raise SottovoceError(
                f"An event of {length} ticks needs log-mel of [{length}, {N_MELS}], not {mel.shape}."
            )
        if np.shape(voice) != (VOICE_DIM,):
            raise SottovoceError(
                f"Articulation needs a voice [{VOICE_DIM}], not {np.shape(voice)}."
            )
        x = (torch.from_numpy(np.ascontiguousarray(mel, np.float32)) - net.mel_mean) / net.mel_std
        before = SILENCE if previous is None else previous.phoneme
        latent = net.latents(
            x[None],
            torch.tensor([length]),
            torch.tensor([[event.phoneme, before]]),
            torch.tensor([event_scalars(event, length, previous, None)[:OWN_SCALARS]]),
            torch.from_numpy(np.asarray(voice, np.float32))[None],
        )[0]
        return np.asarray(torch.nan_to_num(latent).numpy(), np.float32)

    @torch.inference_mode()
    def encode(
        self, mel: F32, event: PhonemeEvent, previous: PhonemeEvent | None, voice: F32
    ) -> tuple[int, ...]:
        """The MAX_LAYERS codes of one event, coarse to fine.

        mel: [duration_ticks, 80] natural log, the event's frames; previous: the event before, if
        any; voice: [VOICE_DIM]. Raises SottovoceError on other shapes.
        """
        latent = torch.from_numpy(self.latent(mel, event, previous, voice))
        phoneme = torch.tensor([event.phoneme])
        indices, _ = self._net.codebooks.quantise(latent[None], phoneme)
        return tuple(int(i) for i in indices[0])


def load_codec_part(module: nn.Module, prefix: str) -> dict[str, str]:
    """Load the tensors of ``codec.safetensors`` under ``prefix`` into ``module``; eval mode.

    Returns the file's metadata. Raises WeightsError when they do not fit.
    """
    tensors, metadata = load_weights("codec")
    part = {k[len(prefix) :]: v.float() for k, v in tensors.items() if k.startswith(prefix)}
    # What has no prefix is shared by both halves of the codec and stored once.
    halves = ("synthesizer.", "articulation.")
    part |= {k: v.float() for k, v in tensors.items() if not k.startswith(halves)}
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
