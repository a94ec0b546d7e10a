"""Puts the program into a Linux desktop's menu and makes it open ``sottovoce:`` links.

Writes two files below ``XDG_DATA_HOME`` (the entry with this interpreter's path, and the icon) and
tells the desktop about the link scheme. Both can be taken out again.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Registration:
    """What the desktop knows of this program."""

    entry: Path | None
    """The menu entry; None where there is none."""
    program: str = ""
    """What the entry starts."""
    program_there: bool = False
    handler: str | None = ""
    """The entry that opens ``sottovoce:`` links, by file name; empty: none does; None: the desktop
    has nobody to ask."""

    @property
    def opens_links(self) -> bool:
        return self.handler == ENTRY


def registration() -> Registration:
    """Look, and change nothing. The user's own entry is preferred to one of the whole system."""
    shared = (os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share").split(":")
    places = [entry_path(), *(Path(folder) / "applications" / ENTRY for folder in shared if folder)]
    handler = _asked("xdg-mime", "query", "default", SCHEME)
    for place in places:
        if place.is_file():
            program = _program(place)
            return Registration(place, program, bool(shutil.which(program)), handler)
    return Registration(None, handler=handler)


def _program(entry: Path) -> str:
    """The first word of an entry's ``Exec`` line; empty where there is none."""
    try:
        lines = entry.read_text(encoding="utf-8").splitlines()
        command = next((line for line in lines if line.startswith("Exec=")), "Exec=")
        words = shlex.split(command.removeprefix("Exec="))
    except (OSError, ValueError):  # ValueError: not UTF-8, or an open quotation mark
        return ""
    return words[0].replace("%%", "%") if words else ""


def _tool(name: str, *arguments: str) -> bool:
    """Run a desktop tool where there is one. Returns whether it worked."""
    return _asked(name, *arguments) is not None


def _asked(name: str, *arguments: str) -> str | None:
    """What a desktop tool answers; None where there is no such tool or it failed."""
    found = shutil.which(name)
    if found is None:
        return None
    try:
        done = subprocess.run(
            [found, *arguments], capture_output=True, timeout=TOOL_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else None
