"""A call without devices or sockets: speech crosses an impaired link on a virtual clock.

The same encoder, packets, playout and decoder as in a call, faster than real time, and the same
samples for the same seed. Each arm has its own link with the same settings and seed. Its sound is
kept twice: as the loudspeaker had it, with the delay that wandered as the link did, and with one
constant delay, ``delay_ms_median``, so that it can be compared with what was said.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from app.arm_run import ArmRun
from app.export import Bundle, EventRow, PacketRow, csv_text, export_bundle
from app.near_line import HeardSpan
from app.simulated_arms import OpusArm, PhonemeArm
from engine.encoder import SpeechEncoder
from engine.errors import SottovoceError
from engine.events import MAX_LAYERS, Pcm, PhonemeEvent, VoiceDescriptor
from engine.mel import SAMPLE_RATE_HZ
from engine.opus import OpusOptions
from transport.impair import ImpairmentSettings
from transport.policy import DEFAULT_CEILING_BPS

STEP_MS = 20  # the virtual clock's grain: one capture block
STEP_SAMPLES = STEP_MS * SAMPLE_RATE_HZ // 1000
ARMS = ("phonemes", "opus")

TIMED = ("rtf_encode", "rtf_decode")
"""Of ``report.json``: how fast this machine was. All else follows from the input and the seed."""
DELAYS_HEADER = (
    "arm", "number", "kind", "said_ms", "said_for_ms", "heard_ms", "heard_for_ms", "delay_ms",
)  # fmt: skip

DelayRow = tuple[str, int, str, float, float, float, float, float]
"""One line of ``delays.csv``, as its header says; ``number`` is the event's or the frame's."""

Progress = Callable[[float], None]
"""Called with 0 ... 1 now and then."""


@dataclass(frozen=True, slots=True)
class SimulationSettings:
    loss: float = 0.2
    burst_ms: float = 0.0
    delay_ms: float = 60.0
    jitter_ms: float = 30.0
    seed: int = 1
    arms: tuple[str, ...] = ARMS
    opus_rate_bps: int = 6_000
    opus_frame_ms: int = 60
    opus_fec: bool = True
    opus: OpusOptions = field(default_factory=OpusOptions)
    wire_bps: float = DEFAULT_CEILING_BPS
    layers: int = MAX_LAYERS
    link: ImpairmentSettings | None = None
    """Replaces the four numbers above where it is given (rate limits, traces, reordering)."""

    def impairment(self) -> ImpairmentSettings:
        return self.link or ImpairmentSettings(
            loss=self.loss,
            burst_ms=self.burst_ms,
            delay_ms=self.delay_ms,
            jitter_ms=self.jitter_ms,
        )


@dataclass(frozen=True, slots=True)
class EncodedStream:
    """What the encoder said and when: made once, sent over many links."""

    events: tuple[tuple[float, PhonemeEvent], ...]
    """(ms on the near clock at which the encoder gave it out, event)."""
    voices: tuple[tuple[float, VoiceDescriptor], ...]
    samples: int
    encode_seconds: float
    """Of processor time, for ``rtf_encode``."""


@dataclass(frozen=True, slots=True)
class SimulationResult:
    near: Pcm
    far: dict[str, Pcm]
    """Each arm's sound at the far end, ``delay_ms_median`` behind ``near`` throughout."""
    heard: dict[str, Pcm]
    """The same with the delays it really had."""
    report: dict[str, Any]
    """``report.json``: settings and one object for each arm."""
    events: Sequence[EventRow] = ()
    packets: Sequence[PacketRow] = ()
    stats: Sequence[dict[str, Any]] = field(default_factory=list)
    delays: Sequence[DelayRow] = ()

    def aligned(self, arm: str) -> Pcm:
        """The far end's sound with its delay removed, as long as the near end's."""
        return self.far[arm][len(self.far[arm]) - len(self.near) :]


def encode_stream(
    pcm: Pcm, layers: int = MAX_LAYERS, progress: Progress | None = None
) -> EncodedStream:
    """Run the encoder over ``pcm`` in capture blocks and note when each event came out."""
    encoder = SpeechEncoder(layers=layers)
    events: list[tuple[float, PhonemeEvent]] = []
    voices: list[tuple[float, VoiceDescriptor]] = []
    began = time.perf_counter()
    for start in range(0, len(pcm), STEP_SAMPLES):
        new = encoder.push(pcm[start : start + STEP_SAMPLES])
        now_ms = min(start + STEP_SAMPLES, len(pcm)) * 1000.0 / SAMPLE_RATE_HZ
        events += [(now_ms, event) for event in new]
        voice = encoder.voice
        if voice is not None and (not voices or voice.version != voices[-1][1].version):
            voices.append((now_ms, voice))
        if progress and start % (50 * STEP_SAMPLES) == 0:
            progress(start / len(pcm))
    end_ms = len(pcm) * 1000.0 / SAMPLE_RATE_HZ
    events += [(end_ms, event) for event in encoder.flush()]
    return EncodedStream(tuple(events), tuple(voices), len(pcm), time.perf_counter() - began)


def simulate(
    pcm: Pcm,
    settings: SimulationSettings,
    progress: Progress | None = None,
    stream: EncodedStream | None = None,
) -> SimulationResult:
    """Send ``pcm`` [N] over the link that ``settings`` describes, once for each arm.

    ``stream`` (of the same ``pcm``) saves encoding again. Raises SottovoceError for settings that
    make no sense or speech without samples.
    """
    if len(pcm) == 0:
        raise SottovoceError("There is nothing to send: give speech with samples in it.")
    unknown = [arm for arm in settings.arms if arm not in ARMS]
    if unknown or not settings.arms:
        raise SottovoceError(f"No arm {', '.join(unknown) or '(none)'}: give {', '.join(ARMS)}.")
    link = settings.impairment()
    seconds = len(pcm) / SAMPLE_RATE_HZ
    runs: dict[str, ArmRun] = {}
    for number, arm in enumerate(settings.arms):

        def tell(part: float, number: int = number) -> None:
            if progress:
                progress((number + part) / len(settings.arms))

        if arm == "phonemes":
            if stream is None or stream.samples != len(pcm):
                stream = encode_stream(pcm, settings.layers, tell)
            phonemes = PhonemeArm(
                stream.events, stream.voices, link, settings.seed, settings.wire_bps
            )
            runs[arm] = phonemes.run(seconds)
            runs[arm].encode_seconds = stream.encode_seconds
        else:
            opus = OpusArm(
                pcm,
                settings.opus_rate_bps,
                settings.opus_frame_ms,
                settings.opus_fec,
                link,
                settings.seed,
                settings.opus,
            )
            runs[arm] = opus.run(seconds)
    if progress:
        progress(1.0)
    return _gather(pcm, settings, runs)


def _gather(pcm: Pcm, settings: SimulationSettings, runs: dict[str, ArmRun]) -> SimulationResult:
    seconds = len(pcm) / SAMPLE_RATE_HZ
    report: dict[str, Any] = {
        "seconds": round(seconds, 3),
        "seed": settings.seed,
        "link": dataclasses.asdict(settings.impairment()),
    }
    stats: list[dict[str, Any]] = [{"second": i} for i in range(max(1, int(np.ceil(seconds))))]
    for arm, run in runs.items():
        report[arm] = run.figures(seconds)
        for row, extra in zip(stats, run.seconds_rows(len(stats)), strict=True):
            row.update({f"{arm}_{key}": value for key, value in extra.items()})
    return SimulationResult(
        near=np.asarray(pcm, np.float32),
        far={arm: run.far(len(pcm)) for arm, run in runs.items()},
        heard={arm: run.as_heard(len(pcm)) for arm, run in runs.items()},
        report=report,
        events=[row for run in runs.values() for row in run.events],
        packets=[row for run in runs.values() for row in run.packets],
        stats=stats,
        delays=[_delay_row(arm, span) for arm, run in runs.items() for span in run.spans],
    )


def _delay_row(arm: str, span: HeardSpan) -> DelayRow:
    said, heard = (span.near_ms, span.near_for_ms), (span.heard_ms, span.heard_for_ms)
    return (arm, span.number, span.kind, *said, *heard, span.delay_ms)


def run_to_folder(
    pcm: Pcm,
    settings: SimulationSettings,
    folder: Path,
    marked: bool = False,
    timed: bool = True,
) -> dict[str, Any]:
    """Simulate and write the evaluation bundle with ``report.json``. Returns the report.

    ``timed`` False leaves the figures ``TIMED`` null, so that no byte differs from run to run.
    """
    result = simulate(pcm, settings)
    summary = {
        arm: {key: value for key, value in result.report[arm].items() if key not in TIMED}
        for arm in settings.arms
    }
    if not timed:
        for arm in settings.arms:
            result.report[arm].update(dict.fromkeys(TIMED))
    bundle = Bundle(
        title="Simulated call",
        sounds={
            "near": result.near,
            **{f"far_{arm}": far for arm, far in result.far.items()},
            **{f"heard_{arm}": heard for arm, heard in result.heard.items()},
        },
        events=result.events,
        packets=result.packets,
        stats=result.stats,
        summary=summary,
        manifest={
            "kind": "simulation",
            "seed": settings.seed,
            "settings": dataclasses.asdict(settings),
            "consent": "the speech was given to the program as a file",
        },
    )
    texts = {
        "report.json": json.dumps(result.report, indent=2) + "\n",
        "delays.csv": csv_text(DELAYS_HEADER, result.delays),
    }
    export_bundle(bundle, folder, marked=marked, extra=texts)
    return result.report
