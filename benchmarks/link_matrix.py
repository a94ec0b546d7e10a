"""Every arm over every link with the same seeds: what is understood, what is lost, what it costs.

``python -m benchmarks.link_matrix --help``. Every row that was scored with the same code and
weights comes from a cache, so an interrupted run goes on where it was; the speech is encoded once
for all links. ``--every 3 --per-every 0`` is the whole matrix in a quarter of an hour of one core.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean

import torch
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from benchmarks.corpus import load_set
from benchmarks.links import ARMS, LINKS, SEED, Call, Crossing, make_call
from benchmarks.plots import plot_links
from benchmarks.scoring import Row, fingerprint, judges_fingerprint, load_row, save_row
from benchmarks.tables import RESULTS, Column, markdown, write_json, write_text
from engine import metrics, scorers
from engine.edit_distance import Edits, count_edits, merge_repeats
from engine.errors import SottovoceError
from engine.g2p import text_to_ids
from engine.transcripts import word_edits

QUICK_LINKS = ("loss 0%", "loss 20%", "loss 50%", "bursts 20% 250 ms")
COLUMNS = (
    Column("WER %", "wer", "{:.1f}", percent=True),
    Column("PER %", "per", "{:.1f}", percent=True),
    Column("ESTOI", "estoi"),
    Column("packets lost %", "packet_loss", "{:.1f}", percent=True),
    Column("events lost %", "event_loss", "{:.2f}", percent=True),
    Column("payload bit/s", "payload_bps", "{:.0f}"),
    Column("wire bit/s", "wire_bps", "{:.0f}"),
    Column("delay ms, median", "delay_ms_median", "{:.0f}"),
    Column("p95", "delay_ms_p95", "{:.0f}"),
)
NOTE = """One call of all clips with a second of silence between them, simulated on a virtual clock with
the same seed for all arms, or the mean of several such calls. Opus: 60 ms frames, FEC and DTX, the
loss reported back to its encoder; Codec2: 120 ms packets, no redundancy. Wire: IPv4, UDP, SRTP and
RTP headers, reports included. Delay: mouth to ear, network included. WER: Whisper tiny.en; PER:
hama against the transcript.
"""


def _names(links: Iterable[str]) -> str:
    """For argparse, to which a per cent sign is a format."""
    return ", ".join(links).replace("%", "%%")


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="four links, six clips")
    parser.add_argument("--arms", help="comma separated; default: all of " + ", ".join(ARMS))
    parser.add_argument("--links", help="comma separated; default: all of " + _names(LINKS))
    parser.add_argument("--clips", type=int, help="at most this many clips")
    parser.add_argument(
        "--every", type=int, default=1, metavar="N", help="only every Nth clip (default: all)"
    )
    parser.add_argument(
        "--per-every",
        type=int,
        default=1,
        metavar="N",
        help="phoneme errors, half of the judging, of every Nth clip only; 0: of none",
    )
    parser.add_argument(
        "--seeds", type=int, default=1, metavar="N", help="the mean of N calls with other luck"
    )
    parser.add_argument("--known", action="store_true", help="only what was measured before")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for tables and plots")
    parsed = parser.parse_args(arguments)
    parsed.arms = parsed.arms.split(",") if parsed.arms else list(ARMS)
    everything = list(QUICK_LINKS if parsed.quick else LINKS)
    parsed.links = parsed.links.split(",") if parsed.links else everything
    for wanted, known, what in ((parsed.arms, ARMS, "arm"), (parsed.links, LINKS, "link")):
        unknown = [name for name in wanted if name not in known]
        if unknown:
            parser.error(f"no {what} {', '.join(unknown)}: there are {', '.join(known)}")
    parsed.clips = parsed.clips or (6 if parsed.quick else None)
    if parsed.every < 1 or parsed.per_every < 0:
        parser.error("clips are left out by whole numbers from 1 on")
    if parsed.seeds < 1:
        parser.error("at least one call is needed")
    return parsed


def _share(edits: Sequence[Edits]) -> float:
    length = sum(e.reference_length for e in edits)
    return sum(e.rate * e.reference_length for e in edits) / length if length else float("nan")


def score_crossing(call: Call, crossing: Crossing, per_every: int = 1) -> Row:
    """Figures of the link and scores of the clips cut out of the call."""
    words, phonemes, estois = [], [], []
    for number, sample in enumerate(call.samples):
        heard = crossing.clip(call, number)
        words.append(word_edits(sample.text, scorers.transcribe(heard)))
        if per_every and number % per_every == 0:
            truth = merge_repeats(text_to_ids(sample.text))
            phonemes.append(count_edits(truth, scorers.hear_phonemes(heard)))
        estois.append(metrics.estoi(sample.clean, heard))
    known = [e for e in estois if e == e]
    row: Row = dict(crossing.figures)
    sent, lost = row.pop("packets_sent"), row.pop("packets_lost")
    events, events_lost = row.pop("events_sent"), row.pop("events_lost")
    row |= {
        "packet_loss": lost / sent if sent else None,
        "event_loss": events_lost / events if events else None,
        "wer": _share(words),
        "per": _share(phonemes) if phonemes else None,
        "estoi": sum(known) / len(known) if known else float("nan"),
    }
    return row


def mean_row(rows: Sequence[Row]) -> Row:
    """Figures of several calls: their mean, None where one of them has none."""
    return {
        key: None if any(row[key] is None for row in rows) else fmean(row[key] for row in rows)
        for key in rows[0]
    }


def _code_of(arm: str) -> str:
    shared = ("transport/impair.py", "transport/loopback.py", "benchmarks/links.py")
    if arm == "phonemes":
        ours = (
            "engine/*.py",
            "transport/*.py",
            "app/simulated_arms.py",
            "assets/models/SHA256SUMS",
        )
        return fingerprint(*shared, *ours)
    return fingerprint(*shared, "engine/opus*.py", "app/simulated_arms.py")


class Pace:
    """Says after each call that had to be simulated how long the rest will take."""

    def __init__(self, console: Console, missing: int) -> None:
        self._console = console
        self._missing = missing
        self._done = 0
        self._began_s = time.monotonic()

    def done(self) -> None:
        self._done += 1
        left = self._missing - self._done
        minutes = (time.monotonic() - self._began_s) / self._done * left / 60
        if left:
            self._console.print(f"{left} calls to go, about {minutes:.0f} min", style="dim")


def main(arguments: list[str] | None = None) -> int:
    options = _parse(arguments)
    torch.set_num_threads(1)
    console = Console()
    judges = judges_fingerprint()
    lucky: dict[str, dict[str, list[Row]]] = {}
    columns = (
        TextColumn("{task.description:14}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    try:
        call = make_call(load_set("readers", options.clips)[:: options.every])
    except SottovoceError as error:
        console.print(str(error))
        return 1
    codes = {arm: _code_of(arm) for arm in options.arms}  # of now: files may change meanwhile

    def key_of(arm: str, link: str, seed: int) -> str:
        name = "".join(c if c.isalnum() else "_" for c in link)
        clips = f"{len(call.samples)}-{options.every}-{options.per_every}"
        luck = "" if seed == SEED else f"-{seed}"
        return f"link-{arm}-{name}{luck}-{clips}-{codes[arm]}-{judges}"

    seeds = range(SEED, SEED + options.seeds)
    cells = [(arm, link, seed) for arm in options.arms for link in options.links for seed in seeds]
    found = {cell: load_row(key_of(*cell)) for cell in cells}
    if options.known:
        cells = [cell for cell in cells if found[cell] is not None]
    pace = Pace(console, sum(found[cell] is None for cell in cells))
    left_out: set[str] = set()
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("calls", total=len(cells))
        for arm, link, seed in cells:
            progress.update(task, description=arm)
            if arm not in left_out:
                row = found[arm, link, seed]
                try:
                    if row is None:
                        crossing = ARMS[arm](call, LINKS[link], seed)
                        row = score_crossing(call, crossing, options.per_every)
                        save_row(key_of(arm, link, seed), row)
                        pace.done()
                    lucky.setdefault(arm, {}).setdefault(link, []).append(row)
                except (SottovoceError, ImportError) as error:
                    console.print(f"[yellow]{arm} left out:[/] {error}")
                    left_out.add(arm)
                    lucky.pop(arm, None)
            progress.advance(task)
    rows = {
        arm: {link: mean_row(calls) for link, calls in links.items()}
        for arm, links in lucky.items()
    }
    if not rows:
        console.print("No arm could run.")
        return 1
    flat = {
        f"{link} · {arm}": rows[arm][link]
        for link in options.links
        for arm in rows
        if link in rows[arm]
    }
    given = shlex.join(sys.argv[1:] if arguments is None else arguments)
    command = f"python -m benchmarks.link_matrix {given}".rstrip()
    text = (
        f"# Arms over bad links, {len(call.samples)} clips of unseen speakers\n\n"
        f"`{command}`\n\n{markdown(COLUMNS, flat, 'link · arm')}\n\n{NOTE}"
    )
    stem = "link_matrix" + ("_quick" if options.quick else "")
    stem += f"_every_{options.every}" if options.every > 1 else ""
    write_text(options.out / f"{stem}.md", text)
    write_json(options.out / f"{stem}.json", rows)
    losses = [link for link in options.links if link.startswith("loss")]
    plot_links(rows, losses, options.out / f"{stem}.png")
    console.print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
