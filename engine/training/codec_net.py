"""The codec as it is trained: synthesizer, articulation encoder and one quantiser between them.

Batches go in, predicted frames come out; ``export`` makes the shipped tensors of the whole and
``restore`` takes them back. Scores on held-out clips are made here too.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.articulation import ArticulationNet
from engine.events import CODE_LEVELS, MAX_LAYERS
from engine.synthesizer import SynthesizerNet
from engine.training.batches import NONE, Batch, BatchMaker
from engine.training.perceptual import PhonemeJudge, masked_l1

SHARED = ("codebooks.vectors", "mel_mean", "mel_std")  # of both networks, stored once


class Codec(nn.Module):
    """Both networks; one set of codebooks."""

    usage: Tensor
    sums: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.synthesizer = SynthesizerNet()
        self.articulation = ArticulationNet()
        self.articulation.codebooks = self.synthesizer.codebooks
        self.register_buffer("usage", torch.ones(MAX_LAYERS, CODE_LEVELS))
        self.register_buffer("sums", torch.zeros_like(self.synthesizer.codebooks.vectors))

    def latents(self, batch: Batch, mean: Tensor, std: Tensor) -> Tensor:
        """One latent an event, [B, E, 32]."""
        net = self.articulation
        frames = net.frames((batch.source_mel - mean) / std, batch.source_pitch, batch.voice)
        pooled = torch.einsum("bepS,bSw->bepw", batch.pool, frames).flatten(2)
        count = batch.pool[:, :, 0].gt(0).sum(-1).clamp(min=1)
        scalars = torch.stack([(count / 8.0).log(), batch.scalars[..., 1]], -1)
        return net.latents(pooled, batch.ids, scalars)

    def quantise(self, latent: Tensor, layers: Tensor, learn: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Straight-through sum of the first ``layers`` [B] stages. Returns codes, indices, loss."""
        latent = latent.float()
        flat = latent.reshape(-1, latent.shape[-1])
        with torch.no_grad(), torch.autocast(flat.device.type, enabled=False):
            indices, chosen = self.synthesizer.codebooks.quantise(flat)
            if learn:
                self._update(flat, indices, chosen)
        stages = torch.cumsum(chosen, 1).reshape(*latent.shape[:2], MAX_LAYERS, -1)
        # Towards the last stage only: pulled towards the first, latents would leave nothing to
        # the others.
        commit = functional.mse_loss(latent, stages[:, :, -1])
        zero = torch.zeros_like(stages[:, :, :1])
        options = torch.cat([zero, stages], 2)
        picked = options[torch.arange(len(layers)), :, layers]
        codes = latent + (picked - latent).detach()
        return codes * (layers > 0)[:, None, None], indices, commit

    def _update(self, flat: Tensor, indices: Tensor, chosen: Tensor) -> None:
        """Move codewords to the mean of what they caught; restart those that catch nothing."""
        books = self.synthesizer.codebooks.vectors
        rest = flat.clone()
        for layer in range(MAX_LAYERS):
            hits = functional.one_hot(indices[:, layer], CODE_LEVELS).to(flat.dtype)
            self.usage[layer].mul_(0.97).add_(hits.sum(0), alpha=0.03)
            self.sums[layer].mul_(0.97).add_(hits.t() @ rest, alpha=0.03)
            books[layer] = self.sums[layer] / self.usage[layer].clamp(min=1e-3)[:, None]
            dead = (self.usage[layer] < 0.05).nonzero().flatten()
            if len(dead):
                fresh = rest[torch.randint(len(rest), (len(dead),))]
                books[layer, dead] = fresh
                self.sums[layer, dead] = fresh * 0.3
                self.usage[layer, dead] = 0.3
            rest = rest - chosen[:, layer]

    def forward(
        self, batch: Batch, layers: Tensor, learn: bool = False
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Returns normalised log-mel [B, T, 80], voicing logits [B, T], indices, commitment loss."""
        net = self.synthesizer
        latent = self.latents(batch, net.mel_mean, net.mel_std)
        codes, indices, commit = self.quantise(latent, layers, learn)
        following = functional.pad(codes[:, 1:], (0, 0, 0, 1)) * batch.next_known[..., None]
        described = net.describe(batch.ids, batch.scalars, codes, following)
        spread = batch.event_of_tick[..., None].expand(-1, -1, described.shape[-1])
        ticks = net.ticks(described.gather(1, spread), batch.tick_scalars)
        mel, voicing = net.frames(ticks, batch.voice)
        return mel.float(), voicing.float(), indices, commit


def export(codec: Codec) -> dict[str, Tensor]:
    """The tensors of the shipped file, float16; codebooks and statistics once, float32."""
    out: dict[str, Tensor] = {}
    for prefix, net in (("synthesizer", codec.synthesizer), ("articulation", codec.articulation)):
        for key, value in net.state_dict().items():
            if key not in SHARED:
                out[f"{prefix}.{key}"] = value.half()
    out |= {key: codec.synthesizer.state_dict()[key].float() for key in SHARED}
    return out


def restore(codec: Codec, tensors: dict[str, Tensor]) -> None:
    """Load what ``export`` wrote."""
    state = codec.state_dict()
    for key in state:
        for name in (key, key.split(".", 1)[-1]):
            if name in tensors:
                state[key] = tensors[name].float()
                break
    codec.load_state_dict(state)
    codec.usage.fill_(1.0)
    codec.sums.copy_(codec.synthesizer.codebooks.vectors)


@torch.inference_mode()
def score(
    codec: Codec, judge: PhonemeJudge, maker: BatchMaker, clips: list[int], device: torch.device
) -> dict[str, float]:
    """L1 and judged frame accuracy by layer on held-out clips, codebook perplexity."""
    codec.eval()
    rng = np.random.default_rng(7)
    batches = [
        maker.make(clips[i : i + 12], rng, NONE).to(device) for i in range(0, len(clips), 12)
    ]
    out: dict[str, float] = {}
    net = codec.synthesizer
    for layer in range(MAX_LAYERS + 1):
        losses, right, frames, seen = [], 0.0, 0.0, []
        for batch in batches:
            layers = torch.full((len(batch.mel),), layer, device=device)
            mel, _, indices, _ = codec(batch, layers)
            losses.append(float(masked_l1(mel, (batch.mel - net.mel_mean) / net.mel_std, batch.mask)))
            half = batch.mask[:, ::2].bool()
            guess = judge(mel)[0].argmax(-1)
            right += float((guess == batch.labels[:, ::2])[half].sum())
            frames += float(half.sum())
            seen.append(indices[batch.pool[:, :, 0].sum(-1).flatten() > 0])
        out[f"l1_{layer}"] = float(np.mean(losses))
        out[f"acc_{layer}"] = right / frames
        if layer:
            counts = torch.bincount(torch.cat(seen)[:, layer - 1], minlength=CODE_LEVELS).double()
            share = counts / counts.sum()
            out[f"perplexity_{layer}"] = float((-(share * (share + 1e-12).log()).sum()).exp())
    codec.train()
    return out
