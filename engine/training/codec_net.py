"""The codec as it is trained: synthesizer, articulation encoder and one quantiser between them.

Batches go in, predicted frames come out; ``export`` makes the shipped tensors of the whole and
``restore`` takes them back. Scores on held-out clips are made here too.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.articulation import CODE_DIM, ArticulationNet
from engine.event_scalars import OWN_SCALARS
from engine.events import CODE_LEVELS, MAX_EVENT_TICKS, MAX_LAYERS
from engine.synthesizer import SynthesizerNet
from engine.training.batches import NONE, Batch, BatchMaker
from engine.training.envelopes import envelope_correlation
from engine.training.perceptual import PhonemeJudge, masked_l1

SHARED = ("codebooks.", "mel_")  # of both networks, stored once


class EventInputs(NamedTuple):
    """The arguments of ``ArticulationNet.latents``."""

    mel: Tensor
    lengths: Tensor
    ids: Tensor
    scalars: Tensor
    voice: Tensor


class Codec(nn.Module):
    """Both networks; one set of codebooks."""

    def __init__(self) -> None:
        super().__init__()
        self.synthesizer = SynthesizerNet()
        self.articulation = ArticulationNet()
        self.articulation.codebooks = self.synthesizer.codebooks

    def events(self, batch: Batch) -> EventInputs:
        """What the articulation encoder reads of each of the batch's N events."""
        net, real = self.articulation, batch.length > 0
        mel = (batch.source_mel - net.mel_mean) / net.mel_std
        lengths, row = batch.length[real], real.nonzero()[:, :1]
        ticks = torch.arange(MAX_EVENT_TICKS, device=lengths.device)
        where = (batch.first[real][:, None] + ticks).clamp(max=mel.shape[1] - 1)
        scalars = _own_scalars(batch)[real]
        ids = batch.ids[real][:, :2]
        return EventInputs(mel[row, where], lengths, ids, scalars, batch.voice[row[:, 0]])

    @torch.no_grad()
    def codes(self, batch: Batch, layers: Tensor) -> tuple[Tensor, Tensor]:
        """Sum of the first ``layers`` [B] stages of every event [B, E, CODE_DIM]; indices [N, …]."""
        inputs, real = self.events(batch), batch.length > 0
        latent = self.articulation.latents(*inputs).float()
        indices, chosen = self.synthesizer.codebooks.quantise(latent, inputs.ids[:, 0])
        wanted = torch.arange(MAX_LAYERS, device=layers.device) < layers[real.nonzero()[:, 0], None]
        codes = chosen.new_zeros(*real.shape, CODE_DIM)
        codes[real] = (chosen * wanted[..., None]).sum(1)
        return codes, indices

    def forward(self, batch: Batch, layers: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns normalised log-mel [B, T, 80], voicing logits [B, T] and indices [N, …]."""
        net = self.synthesizer
        codes, indices = self.codes(batch, layers)
        following = functional.pad(codes[:, 1:], (0, 0, 0, 1)) * batch.next_known[..., None]
        described = net.describe(batch.ids, batch.scalars, codes, following)
        spread = batch.event_of_tick[..., None].expand(-1, -1, described.shape[-1])
        ticks = net.ticks(described.gather(1, spread), batch.tick_scalars)
        mel, voicing = net.frames(ticks, batch.voice)
        told = codes.gather(1, batch.event_of_tick[..., None].expand(-1, -1, CODE_DIM))
        mel = mel + net.shapes(told, batch.basis)
        return mel.float(), voicing.float(), indices


def _own_scalars(batch: Batch) -> Tensor:
    """[B, E, OWN_SCALARS] with the length an event has in the source, not as it is played."""
    scalars = batch.scalars[..., :OWN_SCALARS].clone()
    scalars[..., 0] = (batch.length.clamp(min=1) / 8.0).log()
    return scalars


def export(codec: Codec) -> dict[str, Tensor]:
    """The tensors of the shipped file, float16; what is shared once, float32."""
    out: dict[str, Tensor] = {}
    for prefix, net in (("synthesizer", codec.synthesizer), ("articulation", codec.articulation)):
        for key, value in net.state_dict().items():
            if not key.startswith(SHARED):
                out[f"{prefix}.{key}"] = value.half()
        shared = {k: v.float() for k, v in net.state_dict().items() if k.startswith(SHARED)}
        out |= shared
    return out


def restore(codec: Codec, tensors: dict[str, Tensor]) -> list[str]:
    """Load what ``export`` wrote. Returns the names of tensors that had no fitting counterpart
    there and start afresh: a changed network keeps what it can."""
    state, fresh = codec.state_dict(), []
    for key in state:
        names = [name for name in (key, key.split(".", 1)[-1]) if name in tensors]
        if names and tensors[names[0]].shape == state[key].shape:
            state[key] = tensors[names[0]].float()
        else:
            fresh.append(key)
    codec.load_state_dict(state)
    return fresh


@torch.inference_mode()
def score(
    codec: Codec, judge: PhonemeJudge, maker: BatchMaker, clips: list[int], device: torch.device
) -> dict[str, float]:
    """L1, correlation of envelopes and judged frame accuracy by layer on held-out clips, codebook
    perplexity."""
    codec.eval()
    rng = np.random.default_rng(7)
    batches = [
        maker.make(clips[i : i + 12], rng, NONE).to(device) for i in range(0, len(clips), 12)
    ]
    out: dict[str, float] = {}
    net = codec.synthesizer
    for layer in range(MAX_LAYERS + 1):
        losses, alike, right, frames, seen = [], [], 0.0, 0.0, []
        for batch in batches:
            layers = torch.full((len(batch.mel),), layer, device=device)
            mel, _, indices = codec(batch, layers)
            losses.append(
                float(masked_l1(mel, (batch.mel - net.mel_mean) / net.mel_std, batch.mask))
            )
            logs = mel * net.mel_std + net.mel_mean
            alike.append(float(envelope_correlation(logs, batch.mel, batch.mask)))
            half = batch.mask[:, ::2].bool()
            guess = judge(mel)[0].argmax(-1)
            right += float((guess == batch.labels[:, ::2])[half].sum())
            frames += float(half.sum())
            seen.append(indices)
        out[f"l1_{layer}"] = float(np.mean(losses))
        out[f"envelope_{layer}"] = float(np.mean(alike))
        out[f"acc_{layer}"] = right / frames
        if layer:
            counts = torch.bincount(torch.cat(seen)[:, layer - 1], minlength=CODE_LEVELS).double()
            share = counts / counts.sum()
            out[f"perplexity_{layer}"] = float((-(share * (share + 1e-12).log()).sum()).exp())
    codec.train()
    return out
