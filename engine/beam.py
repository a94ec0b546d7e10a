"""Streaming beam search over phonemes: acoustics, durations and a phoneme 4-gram.

Each 20 ms frame every hypothesis stays in its phoneme or starts another; hypotheses with the same
history merge (Viterbi). A phoneme leaves the search when all hypotheses agree on it or when it is
``lag_frames`` old, whichever comes first, so the delay is bounded.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.phonemes import N_PHONEMES, SILENCE

F32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class BeamSettings:
    width: int = 16
    lag_frames: int = 4
    """How long (20 ms frames) a phoneme may stay undecided after its end."""
    acoustic_scale: float = 0.5
    prior_scale: float = 0.4
    """How much of the training data's phoneme frequencies is divided out of the posteriors."""
    ngram_scale: float = 0.5
    insertion_penalty: float = 0.0
    silence_penalty: float = 2.0
    """Cost (nats) of starting a pause, which the n-gram does not know."""


@dataclass(slots=True)
class _Node:
    """One phoneme in a hypothesis' past."""

    parent: _Node | None
    phoneme: int
    start_frame: int


@dataclass(frozen=True, slots=True)
class Segment:
    phoneme: int
    start_frame: int
    end_frame: int


class PhonemeBeam:
    """Explicit search state; ``push`` frames in, decided segments out."""

    def __init__(self, ngram: F32, log_stay: F32, log_prior: F32, settings: BeamSettings) -> None:
        """ngram: [43, 43, 43, 43] log p(next | three before, oldest first), silence skipped, 0 as
        the start. log_stay: [43] log-probability of staying in a phoneme one more frame.
        log_prior: [43] log phoneme frequency among frames."""
        self.settings = settings
        self._ngram = ngram.reshape(-1, N_PHONEMES)
        self._log_stay = log_stay
        self._log_leave = np.log1p(-np.exp(log_stay))
        self._log_prior = log_prior
        self._frame = 0
        self._scores = np.zeros(1, np.float32)
        self._histories = np.zeros(1, np.int64)
        self._phonemes = np.zeros(1, np.int64)
        root = _Node(None, SILENCE, 0)
        self._nodes = [root]
        self._decided: _Node | None = None  # newest node already given out; its parents are gone

    def push(self, log_posteriors: F32) -> list[Segment]:
        """[T, 43] natural-log posteriors → segments decided by now, contiguous in time."""
        for row in log_posteriors:
            self._advance(row)
        return self._decide(self.settings.lag_frames)

    def flush(self) -> list[Segment]:
        """Decide everything: the best hypothesis wins, its open phoneme ends now."""
        best = int(np.argmax(self._scores))
        self._keep([best])
        segments = self._decide(0)
        last = self._nodes[0]
        if self._frame > last.start_frame:
            segments.append(Segment(last.phoneme, last.start_frame, self._frame))
        self._decided, last.parent, last.start_frame = None, None, self._frame
        return segments

    def standing(self, frames: int) -> tuple[int, int] | None:
        """(phoneme, start_frame) the best hypothesis has been in for more than ``frames``, or None.

        The others are dropped where they disagree: what has stood so long is decided.
        """
        best = self._nodes[0]
        if self._frame - best.start_frame <= frames + self.settings.lag_frames:
            return None
        self._keep([i for i, node in enumerate(self._nodes) if node is best])
        return best.phoneme, best.start_frame

    @property
    def frame(self) -> int:
        return self._frame

    def cut(self, frame: int) -> None:
        """Start the open phoneme anew at ``frame``: what came before was given out as a piece."""
        self._nodes[0].start_frame = frame

    def _advance(self, log_posterior: F32) -> None:
        s = self.settings
        acoustic = s.acoustic_scale * (log_posterior - s.prior_scale * self._log_prior)
        current = self._phonemes
        stay = self._scores + self._log_stay[current] + acoustic[current]
        move = s.ngram_scale * self._ngram[self._histories]
        move[:, SILENCE] = -s.silence_penalty
        move += (self._scores + self._log_leave[current])[:, None] + acoustic - s.insertion_penalty
        move[np.arange(len(current)), current] = stay
        flat = move.ravel()
        top = np.argpartition(-flat, min(3 * s.width, flat.size - 1))[: 3 * s.width]
        top = top[np.argsort(-flat[top], kind="stable")]
        sources, targets = np.divmod(top, N_PHONEMES)
        history = self._histories[sources]
        spoken = (targets != SILENCE) & (targets != current[sources])
        # The last three spoken phonemes as one base-43 number; a pause leaves them untouched.
        history = np.where(spoken, history % (N_PHONEMES**2) * N_PHONEMES + targets, history)
        keys = history * N_PHONEMES + targets
        _, first = np.unique(keys, return_index=True)
        keep = np.sort(first)[: s.width]
        nodes = []
        for source, target in zip(sources[keep], targets[keep], strict=True):
            node = self._nodes[source]
            if target != current[source]:
                node = _Node(node, int(target), self._frame)
            nodes.append(node)
        self._nodes = nodes
        self._scores = flat[top[keep]] - flat[top[keep[0]]]
        self._histories, self._phonemes = history[keep], targets[keep]
        self._frame += 1

    def _keep(self, survivors: list[int]) -> None:
        self._nodes = [self._nodes[i] for i in survivors]
        self._scores = self._scores[survivors]
        self._histories = self._histories[survivors]
        self._phonemes = self._phonemes[survivors]

    def _path(self, node: _Node) -> list[_Node]:
        """From the oldest undecided node to ``node``."""
        path: list[_Node] = []
        cursor: _Node | None = node
        while cursor is not None and cursor is not self._decided:
            path.append(cursor)
            cursor = cursor.parent
        return path[::-1]

    def _decide(self, lag_frames: int) -> list[Segment]:
        """Give out what is agreed on, and what is older than the lag on the best path."""
        best = self._path(self._nodes[0])
        paths = [self._path(node) for node in self._nodes]
        segments: list[Segment] = []
        for depth in range(len(best) - 1):
            node, successor = best[depth], best[depth + 1]
            agree = [
                i
                for i, path in enumerate(paths)
                if len(path) > depth + 1
                and path[depth] is node
                and path[depth + 1].start_frame == successor.start_frame
            ]
            overdue = self._frame - successor.start_frame >= lag_frames
            if len(agree) < len(paths) and not overdue:
                break
            if len(agree) < len(paths):
                self._keep(agree)
                paths = [paths[i] for i in agree]
            if successor.start_frame > node.start_frame:
                segments.append(Segment(node.phoneme, node.start_frame, successor.start_frame))
            node.parent = None  # what is decided need not be remembered
            self._decided = node
        return segments
