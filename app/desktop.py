"""Puts the program into a Linux desktop's menu and makes it open ``sottovoce:`` links.

Writes two files below ``XDG_DATA_HOME`` (the entry with this interpreter's path, and the icon) and
tells the desktop about the link scheme. Both can be taken out again.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from engine.errors import SottovoceError

ASSETS: Final = Path(__file__).resolve().parents[1] / "assets"
ENTRY: Final = "sottovoce.desktop"
SCHEME: Final = "x-scheme-handler/sottovoce"
TOOL_TIMEOUT_S: Final = 20.0


def data_home() -> Path:
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")


def entry_path() -> Path:
    return data_home() / "applications" / ENTRY


def icon_path() -> Path:
    return data_home() / "icons" / "hicolor" / "scalable" / "apps" / "sottovoce.svg"


def launch_command() -> str:
    """How the desktop starts this installation: its script, or the interpreter with the module."""
    script = Path(sys.executable).parent / "sottovoce"
    words = [str(script)] if script.is_file() else [sys.executable, "-m", "app"]
    quoted = ('"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"' for word in words)
    program = " ".join(quoted).replace("%", "%%")
    return f"{program} open --clicked %u"


def _write(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def install() -> list[str]:
    """Returns what was done, one line each. Raises SottovoceError when it cannot be."""
    if not sys.platform.startswith("linux"):
        raise SottovoceError("Menu entries are made by Sottovoce on Linux only.")
    entry = (ASSETS / ENTRY).read_text(encoding="utf-8")
    lines = [
        f"Exec={launch_command()}" if line.startswith("Exec=") else line
        for line in entry.splitlines()
    ]
    try:
        _write(entry_path(), "\n".join(lines) + "\n")
        _write(icon_path(), (ASSETS / "icons" / "sottovoce.svg").read_text(encoding="utf-8"))
    except OSError as error:
        raise SottovoceError(
            f"The menu entry cannot be written to {data_home()} ({error.strerror or error})."
        ) from error
    done = [f"Menu entry: {entry_path()}"]
    if _tool("xdg-mime", "default", ENTRY, SCHEME):
        done.append("Links that begin with sottovoce: open here.")
    else:
        done.append(f"To open links here: xdg-mime default {ENTRY} {SCHEME} (package xdg-utils).")
    _tool("update-desktop-database", str(entry_path().parent))
    return done


def remove() -> list[str]:
    """Take both files out again; what is not there is no error."""
    gone = []
    for path in (entry_path(), icon_path()):
        if path.is_file():
            path.unlink()
            gone.append(f"Removed {path}")
    _tool("update-desktop-database", str(entry_path().parent))
    return gone or ["There was no menu entry."]


def _tool(name: str, *arguments: str) -> bool:
    """Run a desktop tool where there is one. Returns whether it worked."""
    found = shutil.which(name)
    if found is None:
        return False
    try:
        done = subprocess.run(
            [found, *arguments], capture_output=True, timeout=TOOL_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
