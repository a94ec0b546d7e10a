"""The network of ``engine.event_odds`` as it is trained: floats, whole batches, gradients.

Columns of events go in, the cost of every field in bits comes out. ``export`` puts the weights on the
grid that the program computes with.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from engine.event_odds import (
    CURVE_REACH,
    CURVE_STEPS,
    FIELDS,
    HEADS,
    INPUTS,
    LARGEST,
    LEVELS,
    MELODIC,
    NO_HISTORY,
    NO_PITCH,
    START_ENERGY,
    START_PITCH,
    STATE,
    STATE_GRID,
    WEIGHT_GRID,
)
from engine.events import ENERGY_LEVELS, PITCH_LEVELS, PhonemeEvent
from engine.phonemes import N_PHONEMES, SILENCE

I64 = NDArray[np.int64]
TICKS, EVEN = 0, 1  # kinds of block: boundaries on ticks, on the live recogniser's 20 ms


def columns(events: list[PhonemeEvent]) -> I64:
    """Events → [E, 7]: phoneme, hole before it, duration - 1, voiced, energy, both pitches."""
    rows = np.zeros((len(events), 7), np.int64)
    end_tick = events[0].start_tick if events else 0
    for row, event in zip(rows, events, strict=True):
        hole = int(event.start_tick > end_tick)
        end_tick = event.end_tick
        row[:] = (
            event.phoneme, hole, event.duration_ticks - 1, event.voiced, event.energy, *event.pitch,
        )  # fmt: skip
    return rows


def known_before(x: I64) -> tuple[I64, I64, I64]:
    """[B, T, 7] → what each event's block has told so far, each [B, T].

    The newest pitch (NO_PITCH at first), the energy before, and the three phonemes spoken last as
    one number (NO_HISTORY while there were fewer).
    """
    batch, length, _ = x.shape
    pitch, energy, history = (np.zeros((batch, length), np.int64) for _ in range(3))
    newest = np.full(batch, NO_PITCH)
    spoken = np.full((batch, 3), -1)
    for t in range(length):
        pitch[:, t] = newest
        energy[:, t] = x[:, t - 1, 4] if t else START_ENERGY
        whole = spoken @ (N_PHONEMES**2, N_PHONEMES, 1)
        history[:, t] = np.where(spoken[:, 0] >= 0, whole, NO_HISTORY)
        newest = np.where(x[:, t, 3] == 1, x[:, t, 6], newest)
        told = x[:, t, 0]
        fresh = (told != SILENCE) & (told != spoken[:, 2])
        spoken = np.where(fresh[:, None], np.c_[spoken[:, 1:], told], spoken)
    return pitch, energy, history


def _change(name: str, change: Tensor) -> Tensor:
    return change.clamp(-LARGEST[name], LARGEST[name]) + LARGEST[name]


class EventNet(nn.Module):
    """Reads events one by one; before each, says how likely its fields' values are."""

    ngram: Tensor

    def __init__(self, ngram: Tensor, dropout: float = 0.1) -> None:
        """ngram: [43 ** 3 + 1, 43] natural logs by history; the last row (no history) is 0."""
        super().__init__()
        self.register_buffer("ngram", ngram, persistent=False)
        self.rows = nn.ModuleDict({n: nn.Embedding(LEVELS[n], STATE) for n in INPUTS})
        self.start = nn.Parameter(torch.zeros(2, STATE))
        self.kind = nn.Embedding(2, STATE)
        self.cell = nn.GRU(STATE, STATE, batch_first=True)
        self.hidden = nn.ModuleDict({n: nn.Linear(STATE, HEADS[n].width) for n in FIELDS})
        self.known = nn.ModuleDict(
            {
                f"{n}_{of}": nn.Embedding(LEVELS[of], HEADS[n].width)
                for n in FIELDS
                for of in HEADS[n].known
            }
        )
        self.out = nn.ModuleDict({n: nn.Linear(HEADS[n].width, HEADS[n].outputs) for n in FIELDS})
        self.text = nn.Linear(HEADS["phoneme"].width, N_PHONEMES)
        self.dropout = nn.Dropout(dropout)
        for name, weight in self.named_parameters():
            if name.startswith(("rows.", "known.")):
                nn.init.normal_(weight, 0.0, 0.2)

    def states(self, inputs: Tensor, kind: Tensor) -> Tensor:
        """inputs: [B, T, STATE] of every event → [B, T, STATE] before each of them."""
        shifted = functional.pad(inputs[:, :-1], (0, 0, 1, 0)) + self.kind(kind)[:, None]
        # The first step reads nothing but the kind of block, so its outcome is a constant.
        states, _ = self.cell(self.dropout(shifted), self.start[kind][None].contiguous())
        dropped: Tensor = self.dropout(states)
        return dropped

    def text_bits(self, phonemes: Tensor, mask: Tensor) -> Tensor:
        """Mean bits a phoneme of read text, [B, T], where nothing but phonemes is known."""
        kind = torch.full((len(phonemes),), EVEN)
        states = self.states(self.rows["phoneme"](phonemes), kind)
        logits = self.text(self.dropout(functional.relu(self.hidden["phoneme"](states))))
        bits = functional.cross_entropy(logits.transpose(1, 2), phonemes, reduction="none")
        mean: Tensor = (bits * mask).sum() / mask.sum() / np.log(2)
        return mean

    def field_bits(self, x: I64, mask: Tensor, kind: Tensor) -> dict[str, Tensor]:
        """x: [B, T, 7] columns; mask: [B, T]; kind: [B] → bits of all events by field."""
        pitch_before, energy_before, history = map(torch.from_numpy, known_before(x))
        of = torch.from_numpy(x)
        voiced = of[..., 3]
        known_pitch = torch.where(pitch_before == NO_PITCH, of[..., 5], pitch_before)
        values = {
            "phoneme": of[..., 0], "hole": of[..., 1], "duration": of[..., 2], "voiced": voiced,
            "energy": of[..., 4], "pitch_first": of[..., 5], "pitch_second": of[..., 6],
            "last_pitch": pitch_before,
            "louder": _change("louder", of[..., 4] - energy_before),
            "jump": _change("jump", of[..., 5] - known_pitch),
            "glide": _change("glide", of[..., 6] - of[..., 5]),
        }  # fmt: skip
        inputs = sum(
            self.rows[n](values[n]) * (voiced[..., None] if n in MELODIC else 1.0) for n in INPUTS
        )
        states = self.states(torch.as_tensor(inputs), kind)
        costs = {}
        for name in FIELDS:
            logits = self._logits(name, states, values)
            if name == "phoneme":
                logits = logits[..., :-1] + logits[..., -1:] * self.ngram[history]
            elif name == "duration":
                odd = torch.arange(LEVELS[name]) % 2 == 0  # of ticks: they start at one
                logits = logits.masked_fill((kind == EVEN)[:, None, None] & odd, -1e9)
            elif name == "energy":
                logits = _relative(logits, energy_before, ENERGY_LEVELS)
            elif name == "pitch_first":
                start = torch.where(pitch_before == NO_PITCH, START_PITCH, pitch_before)
                logits = _relative(logits, start, PITCH_LEVELS)
            elif name == "pitch_second":
                logits = _relative(logits, of[..., 5], PITCH_LEVELS)
            there = mask * voiced if name.startswith("pitch") else mask
            nats = functional.cross_entropy(logits.transpose(1, 2), values[name], reduction="none")
            costs[name] = (nats * there).sum() / np.log(2)
        return costs

    def _logits(self, name: str, states: Tensor, values: dict[str, Tensor]) -> Tensor:
        hidden = self.hidden[name](states)
        for of in HEADS[name].known:
            hidden = hidden + self.known[f"{name}_{of}"](values[of])
        logits: Tensor = self.out[name](self.dropout(functional.relu(hidden)))
        return logits


def _relative(logits: Tensor, start: Tensor, levels: int) -> Tensor:
    """[..., levels + 2 * levels - 1] logits of values and of changes → [..., levels]."""
    index = (levels - 1 - start)[..., None] + torch.arange(levels)
    return logits[..., :levels] + torch.gather(logits[..., levels:], -1, index)


def _on_grid(weights: Tensor, grid: int = STATE_GRID) -> Tensor:
    return torch.round(weights.detach() * grid).clamp(-32767, 32767).to(torch.int16)


@torch.no_grad()
def export(net: EventNet) -> dict[str, Tensor]:
    """The tensors that ``engine.event_odds`` loads: int16 in steps of their grids."""
    cell, of = net.cell, net.state_dict()
    into = of["cell.weight_ih_l0"]
    kinds = of["kind.weight"]
    begin = [cell(kinds[k][None], of["start"][k][None])[0][0] for k in (TICKS, EVEN)]
    tensors = {
        "begin": torch.stack(begin),
        "kind": kinds @ into.T + of["cell.bias_ih_l0"],
        "inputs": torch.cat([of[f"rows.{n}.weight"] for n in INPUTS]) @ into.T,
        "bias": torch.cat([of["cell.bias_hh_l0"], *(of[f"hidden.{n}.bias"] for n in FIELDS)]),
    }
    for name in FIELDS:
        tensors[f"out_{name}"] = of[f"out.{name}.weight"]
        tensors[f"out_bias_{name}"] = of[f"out.{name}.bias"]
        for known in HEADS[name].known:
            tensors[f"known_{name}_{known}"] = of[f"known.{name}_{known}.weight"]
    entries = torch.arange(-CURVE_REACH, CURVE_REACH).double() / CURVE_STEPS
    tensors |= {"sigmoid": torch.sigmoid(entries), "tanh": torch.tanh(entries)}
    matrix = torch.cat([of["cell.weight_hh_l0"], *(of[f"hidden.{n}.weight"] for n in FIELDS)])
    on_grid = {name: _on_grid(tensor) for name, tensor in tensors.items()}
    return on_grid | {"matrix": _on_grid(matrix, WEIGHT_GRID)}
