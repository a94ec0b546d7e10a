"""The links of the link matrix, and how each arm crosses one of them as a single long call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import soxr

from app.simulate import EncodedStream, SimulationSettings, encode_stream, simulate
from benchmarks.corpus import Sample
from engine.events import Pcm
from engine.mel import SAMPLE_RATE_HZ
from engine.opus_playout import ArrivalHistogram
from transport.impair import Impairment, ImpairmentSettings

GAP_S = 1.0  # of silence between clips, so that a cut never takes a neighbour's words
SEED = 7  # the first of as many as are asked for
DELAY_MS, JITTER_MS = 60.0, 30.0
CODEC2_FRAMES_A_PACKET = 3  # 120 ms: 18 bytes of speech under 44 of headers
HEADERS_BYTES = 44  # IP 20, UDP 8, RTP 12, SRTP tag 4
OPUS_FRAME_MS = 60

LOSSES = (0, 5, 10, 20, 30, 50)
JITTERS_MS = (0, 50, 100, 150)
LINKS: dict[str, ImpairmentSettings] = {
    **{
        f"loss {loss}%": ImpairmentSettings(loss=loss / 100, delay_ms=DELAY_MS, jitter_ms=JITTER_MS)
        for loss in LOSSES
    },
    "bursts 20% 250 ms": ImpairmentSettings(
        loss=0.2, burst_ms=250, delay_ms=DELAY_MS, jitter_ms=JITTER_MS
    ),
    **{
        f"jitter {jitter} ms": ImpairmentSettings(delay_ms=160, jitter_ms=jitter)
        for jitter in JITTERS_MS
    },
    **{
        f"drift {ppm:+d} ppm": ImpairmentSettings(
            delay_ms=DELAY_MS, jitter_ms=JITTER_MS, drift_ppm=ppm
        )
        for ppm in (300, -300)
    },
    "loopback": ImpairmentSettings(),
    "loopback 30% and 30 ms jitter": ImpairmentSettings(
        loss=0.3, delay_ms=30, jitter_ms=30, reorder=True
    ),
}
"""The last two show the delay that is ours: next to nothing of it is the network's."""


@dataclass(frozen=True)
class Call:
    """Clips one after the other, as one talker's side of a call."""

    samples: tuple[Sample, ...]
    pcm: Pcm = field(repr=False)
    starts: tuple[int, ...]
    """Where each clip begins."""


def make_call(samples: list[Sample]) -> Call:
    gap = np.zeros(int(GAP_S * SAMPLE_RATE_HZ), np.float32)
    parts, starts, at = [gap], [], len(gap)
    for sample in samples:
        starts.append(at)
        parts += [sample.pcm, gap]
        at += len(sample.pcm) + len(gap)
    return Call(tuple(samples), np.concatenate(parts), tuple(starts))


@dataclass(frozen=True)
class Crossing:
    """What came out at the far end, delay removed, and the arm's figures."""

    pcm: Pcm
    figures: dict[str, float | None]

    def clip(self, call: Call, number: int) -> Pcm:
        """The far end's sound of one clip with half the gaps around it: [N + GAP]."""
        margin = int(GAP_S * SAMPLE_RATE_HZ) // 2
        start = call.starts[number]
        return self.pcm[start - margin : start + len(call.samples[number].pcm) + margin]


Arm = Callable[[Call, ImpairmentSettings, int], Crossing]
"""(call, link, the link's seed) → what came out."""
KEYS = (
    "payload_bps", "wire_bps", "packets_sent", "packets_lost", "events_sent", "events_lost",
    "delay_ms_median", "delay_ms_p95",
)  # fmt: skip


class PhonemeLink:
    """Our arm; the encoder listens once for all links."""

    def __init__(self) -> None:
        self._streams: dict[int, EncodedStream] = {}

    def __call__(self, call: Call, link: ImpairmentSettings, seed: int = SEED) -> Crossing:
        stream = self._streams.get(id(call))
        if stream is None:
            stream = self._streams[id(call)] = encode_stream(call.pcm)
        settings = SimulationSettings(seed=seed, arms=("phonemes",), link=link)
        result = simulate(call.pcm, settings, stream=stream)
        figures = {key: result.report["phonemes"][key] for key in KEYS}
        return Crossing(result.aligned("phonemes"), figures)


def opus_link(rate_kbps: int) -> Arm:
    """Opus with FEC and DTX in 60 ms frames behind its own jitter buffer."""

    def cross(call: Call, link: ImpairmentSettings, seed: int = SEED) -> Crossing:
        settings = SimulationSettings(
            seed=seed,
            arms=("opus",),
            opus_rate_bps=1000 * rate_kbps,
            opus_frame_ms=OPUS_FRAME_MS,
            link=link,
        )
        result = simulate(call.pcm, settings)
        figures = {key: result.report["opus"][key] for key in KEYS}
        figures["events_sent"] = figures["events_lost"] = None  # it has no events
        return Crossing(result.aligned("opus"), figures)

    return cross


def codec2_link(call: Call, link: ImpairmentSettings, seed: int = SEED) -> Crossing:
    """Codec2 1200, 120 ms packets; a lost frame repeats the last one once, then is silent."""
    import pycodec2

    encoder, decoder = pycodec2.Codec2(1200), pycodec2.Codec2(1200)
    size = encoder.samples_per_frame()
    narrow = soxr.resample(call.pcm, SAMPLE_RATE_HZ, 8_000)
    integers = np.clip(np.round(narrow * 32767), -32768, 32767).astype(np.int16)
    step = size * CODEC2_FRAMES_A_PACKET
    blocks = np.pad(integers, (0, -len(integers) % step)).reshape(-1, CODEC2_FRAMES_A_PACKET, size)
    impairment, arrivals = Impairment(link, seed), ArrivalHistogram()
    packet_ms = 1000 * step / 8_000
    late_ms: list[float | None] = []
    packets = [[encoder.encode(frame) for frame in block] for block in blocks]
    payload = sum(map(len, packets[0]))
    for number in range(len(packets)):
        sent_ms = (number + 1) * packet_ms
        arrived = impairment.submit(number, sent_ms, "codec2", payload + HEADERS_BYTES)
        late_ms.append(min(at_ms for at_ms, _ in arrived) - sent_ms if arrived else None)
        late = late_ms[-1]
        if late is not None:
            arrivals.add(sent_ms, sent_ms + late)
    limit_ms = arrivals.base_ms + arrivals.target_ms
    sound, lost_frames, last = [], 0, packets[0][0]
    for frames, late in zip(packets, late_ms, strict=True):
        for frame in frames:
            if late is not None and late <= limit_ms:
                lost_frames, last = 0, frame
                sound.append(decoder.decode(frame))
                continue
            lost_frames += 1
            heard = decoder.decode(last)
            sound.append(heard if lost_frames == 1 else np.zeros_like(heard))
    wide = soxr.resample(np.concatenate(sound).astype(np.float32) / 32768, 8_000, SAMPLE_RATE_HZ)
    seconds = len(call.pcm) / SAMPLE_RATE_HZ
    delay_ms = packet_ms + limit_ms
    gone = sum(late is None for late in late_ms)
    figures = {
        "payload_bps": 8 * payload * len(packets) / seconds,
        "wire_bps": 8 * (payload + HEADERS_BYTES) * len(packets) / seconds,
        "packets_sent": len(packets),
        "packets_lost": gone,
        "events_sent": None,
        "events_lost": None,
        "delay_ms_median": delay_ms,
        "delay_ms_p95": delay_ms,
    }
    return Crossing(np.clip(wide, -1, 1).astype(np.float32), figures)


ARMS: dict[str, Arm] = {
    "phonemes": PhonemeLink(),
    "opus-6k": opus_link(6),
    "opus-12k": opus_link(12),
    "opus-24k": opus_link(24),
    "codec2-1200": codec2_link,
}
