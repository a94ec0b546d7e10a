"""How well the echo guard works, room by room: what it takes out and what double talk costs.

    python -m benchmarks.echo [--pairs 6] [--out benchmarks/results]

Each pair is two unseen readers who talk at the same time for 20 s; the first is the far side. The
rooms are computed (``app/echo.py``), the guard is the one of a call. ESTOI compares the near
speaker alone with what is left of him or her in double talk; "untreated" is the microphone itself.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from app.echo import Room, measure
from app.processing import EchoGuard
from benchmarks.tables import RESULTS, Column, markdown, write_json, write_text
from engine.errors import SottovoceError
from engine.events import Pcm
from engine.mel import SAMPLE_RATE_HZ
from tests import speech

SECONDS = 20
LEVEL_RMS = 0.07
ROOMS: Mapping[str, Room] = {
    "headset that leaks": Room(loss_db=25.0, rt60_s=0.05),
    "laptop": Room(),
    "laptop, slow sound card": Room(delay_ms=200.0),
    "laptop, told 200 ms for 60": Room(told_ms=200.0),
    "laptop, bad loudspeaker": Room(clipping=0.1),
    "loud in a hollow room": Room(loss_db=0.0, rt60_s=0.5),
}
GUARDS = {
    "echo": lambda: EchoGuard(echo=True, noise=False, gain=False),
    "echo, noise, level": EchoGuard,
    "off": lambda: EchoGuard(echo=False, noise=False, gain=False),
}
COLUMNS = (
    Column("ERLE dB", "erle_db", "{:.1f}"),
    Column("first second", "erle_first_s_db", "{:.1f}"),
    Column("near, dB", "near_change_db", "{:+.1f}"),
    Column("near lost %", "near_lost", "{:.0f}", percent=True),
    Column("ESTOI", "estoi"),
    Column("untreated", "untreated"),
)


def pairs(count: int) -> list[tuple[Pcm, Pcm]]:
    """``count`` pairs of readers, each talker long enough and equally loud."""
    readers = speech.dev_readers()
    if len(readers) < 2 * count:
        raise SottovoceError(f"{speech.SPEECH_REASON} ({2 * count} readers are needed)")
    talks = []
    for number in range(2 * count):
        pieces: list[Pcm] = []
        while sum(map(len, pieces)) < SECONDS * SAMPLE_RATE_HZ:
            place = (number + 2 * count * len(pieces)) % len(readers)
            pieces.append(speech.load_pcm(readers[place][1]))
        talk = np.concatenate(pieces)[: SECONDS * SAMPLE_RATE_HZ]
        talks.append((talk * LEVEL_RMS / np.sqrt(np.mean(talk**2))).astype(np.float32))
    return list(zip(talks[::2], talks[1::2], strict=True))


def scores(guard: str, room: Room, talks: list[tuple[Pcm, Pcm]]) -> dict[str, float]:
    """Means over the pairs."""
    from engine.metrics import estoi

    rows = []
    for far, near in talks:
        figures = measure(GUARDS[guard], far, near, room)
        rows.append(
            {
                "erle_db": figures.erle_db,
                "erle_first_s_db": figures.erle_first_s_db,
                "near_change_db": figures.near_change_db,
                "near_lost": figures.near_lost,
                "estoi": estoi(near, figures.near_out),
                "untreated": estoi(near, near + room.echo(far)),
            }
        )
    return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--pairs", type=int, default=6, help="pairs of talkers (default 6)")
    parser.add_argument("--out", type=Path, default=RESULTS)
    chosen = parser.parse_args(arguments)
    try:
        talks = pairs(max(1, chosen.pairs))
    except SottovoceError as error:
        print(error, file=sys.stderr)
        return 1
    rows: dict[str, Any] = {}
    for guard in GUARDS:
        for name, room in ROOMS.items():
            if guard == "echo" or name in ("laptop", "loud in a hollow room"):
                rows[f"{name}; {guard}"] = scores(guard, room, talks)
    table = markdown(COLUMNS, rows, "room; guard")
    print(table)
    write_text(chosen.out / "echo.md", table + "\n")
    write_json(chosen.out / "echo.json", rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
