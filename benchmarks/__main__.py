"""``make bench``: every benchmark, one after the other, each in a process of its own.

python -m benchmarks                 all of them
python -m benchmarks codec_matrix    only this one; what follows goes to it
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def programs() -> list[str]:
    """The modules here that can be run, by name."""
    return [
        path.stem
        for path in sorted(FOLDER.glob("*.py"))
        if not path.stem.startswith("_") and "\ndef main(" in path.read_text(encoding="utf-8")
    ]


def main(arguments: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    known = programs()
    if arguments[:1] in (["-h"], ["--help"]):
        print(f"usage: {__doc__}\nThere are: {', '.join(known)}")
        return 0
    chosen, more = (known, []) if not arguments else (arguments[:1], arguments[1:])
    if chosen[0] not in known:
        print(f"No benchmark is called {chosen[0]}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    worst = 0
    for name in chosen:
        print(f"== {name}", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{name}", *more]
        worst = max(worst, subprocess.run(command, check=False, cwd=FOLDER.parent).returncode)
    return worst


if __name__ == "__main__":
    sys.exit(main())
