"""Does it sound like the talker? A frozen Resemblyzer on predicted log-mel, as a training loss.

Log-mel frames come in, the distance of their d-vector from the talker's goes out. The bridge from
our log-mel to the 40 power bands Resemblyzer reads is fitted once on real speech. Because of this
loss Resemblyzer is no independent judge of the result: report a second embedder beside it.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch
from scipy.optimize import nnls
from torch import Tensor, nn

from engine.mel import HOP, N_MELS
from engine.training.datasets import Corpus
from engine.voice import WINDOW_TICKS

CALIBRATION_CLIPS = 40
ROWS = 6  # clips of a batch that are judged: the LSTM is slow
ACTIVE_POWER = 10.0**-2.6  # tick power of speech at the level Resemblyzer likes


class SpeakerJudge(nn.Module):
    """1 - cosine between the d-vector of 1.6 s of frames and the talker's."""

    bridge: Tensor

    def __init__(self, corpus: Corpus, clips: list[int]) -> None:
        super().__init__()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from resemblyzer import VoiceEncoder
        encoder = VoiceEncoder("cpu", verbose=False)
        self.lstm, self.linear = encoder.lstm, encoder.linear
        bridge, self.level = _fit_bridge(corpus, clips)
        self.register_buffer("bridge", bridge)

    def forward(self, mel: Tensor, target: Tensor, speaker: Tensor, first: int) -> Tensor:
        """mel, target: [B, T, 80] natural log, T ≥ first + WINDOW_TICKS; speaker: [B, 256] → loss."""
        part = slice(first, first + WINDOW_TICKS)
        bands = torch.exp(2 * mel[:, part].clamp(max=4.0)) @ self.bridge
        true = torch.exp(2 * target[:, part]) @ self.bridge
        gain = self.level / true.sum(-1).mean(1).clamp(min=1e-9)
        _, (hidden, _) = self.lstm(bands * gain[:, None, None])
        vector = torch.relu(self.linear(hidden[-1]))
        return (1 - torch.cosine_similarity(vector, speaker, dim=1, eps=1e-4)).mean()


def _fit_bridge(corpus: Corpus, clips: list[int]) -> tuple[Tensor, float]:
    """Non-negative map [80, 40] from squared mel magnitude to Resemblyzer's bands, and the sum of
    those bands at the level it likes."""
    from resemblyzer.audio import wav_to_mel_spectrogram

    samples = np.load(corpus.cache_dir / "pcm.npy", mmap_mode="r")
    chosen = np.random.default_rng(3).choice(clips, CALIBRATION_CLIPS, replace=False)
    ours, theirs, levels = [], [], []
    for n in chosen:
        clip = corpus.clips[n]
        first, last = clip.first_frame, clip.first_frame + min(clip.frames, 400)
        pcm = np.asarray(samples[first * HOP : last * HOP], np.float32) / 32767
        bands = wav_to_mel_spectrogram(pcm)[: last - first].astype(np.float64)
        power = corpus.power[first:last]
        ours.append(np.exp(2 * corpus.mel[first:last].astype(np.float64)))
        theirs.append(bands)
        levels.append(bands.sum(1).mean() / max(float(power.mean()), 1e-9) * ACTIVE_POWER)
    x, y = np.concatenate(ours)[::3], np.concatenate(theirs)[::3]
    bridge = np.zeros((N_MELS, y.shape[1]))
    for band in range(y.shape[1]):
        weight = 1.0 / (y[:, band] + 0.05 * y[:, band].mean())  # relative error counts
        bridge[:, band], _ = nnls(x * weight[:, None], y[:, band] * weight)
    return torch.from_numpy(bridge.astype(np.float32)), float(np.median(levels))
