"""What the program remembers between runs: one JSON file in the user's configuration folder.

Reading never fails: a damaged file is put aside under another name and the defaults are used.
Writing goes to a temporary name first. Keys of a newer version are kept as they are.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import platformdirs

from engine.errors import SottovoceError
from engine.events import MAX_LAYERS
from transport.policy import DEFAULT_CEILING_BPS

log = logging.getLogger(__name__)

FILE_NAME = "settings.json"
MAX_FILE_BYTES = 1 << 20  # a settings file is a few kilobytes; anything larger is damage
MAX_NAME_LENGTH = 40
MAX_RECENT_PEERS = 12
DEFAULT_WIRE_BPS = int(DEFAULT_CEILING_BPS)
WIRE_RANGE_BPS = (2_500, 24_000)  # below, packets cannot hold what is said
OPUS_RATES_BPS = (6_000, 8_000, 12_000, 16_000, 24_000)
OPUS_FRAMES_MS = (20, 40, 60)


def _home() -> Path | None:
    """``SOTTOVOCE_HOME`` puts everything under one folder: portable installations and tests."""
    home = os.environ.get("SOTTOVOCE_HOME")
    return Path(home) if home else None


def config_dir() -> Path:
    return _home() or Path(platformdirs.user_config_dir("sottovoce", appauthor=False))


def log_dir() -> Path:
    home = _home()
    return home / "logs" if home else Path(platformdirs.user_log_dir("sottovoce", appauthor=False))


def state_dir() -> Path:
    return _home() or Path(platformdirs.user_state_dir("sottovoce", appauthor=False))


def recordings_dir() -> Path:
    home = _home()
    if home:
        return home / "recordings"
    return Path(platformdirs.user_documents_dir()) / "Sottovoce"


def clean_name(name: str) -> str:
    """A peer's or one's own name, safe to show: no control characters, at most 40 characters."""
    plain = "".join(
        " " if unicodedata.category(c) in ("Zs", "Zl", "Zp") or c in "\t\r\n" else c
        for c in name[: 8 * MAX_NAME_LENGTH]
        if unicodedata.category(c)[0] != "C" or c in "\t\r\n"
    )
    return " ".join(plain.split())[:MAX_NAME_LENGTH].strip()


@dataclass(frozen=True, slots=True)
class Settings:
    """Every value has a default that works. Values out of range are replaced, never refused."""

    name: str = ""
    """Shown to the other side."""
    input_device: str = ""
    """Microphone by name; empty is the system's default."""
    output_device: str = ""
    volume: float = 1.0
    """0 ... 2, linear."""
    push_to_talk: str = "off"
    """'off', 'hold' or 'toggle'."""
    push_to_talk_key: str = "Space"
    echo_cancellation: bool = True
    noise_suppression: bool = True
    gain_control: bool = True
    arm: str = "phonemes"
    """'phonemes' or 'opus': what one hears first."""
    layers: int = MAX_LAYERS
    """Articulation layers sent, 0 ... MAX_LAYERS."""
    opus_rate_bps: int = 6_000
    opus_frame_ms: int = 60
    opus_library: str = ""
    """A libopus to use instead of the system's."""
    opus_deep_plc: bool = False
    """Conceal Opus by neural network, where the library can."""
    wire_bps: int = DEFAULT_WIRE_BPS
    """The most that the phoneme arm may send, headers included."""
    stun_servers: tuple[str, ...] = ("stun:stun.l.google.com:19302",)
    turn_servers: tuple[str, ...] = ()
    """``turn:user:password@host:port``."""
    language: str = ""
    """Of the window, as in 'de'; empty follows the system."""
    theme: str = "system"
    """'system', 'dark' or 'light'."""
    recordings: str = ""
    """Folder for recordings; empty is Documents/Sottovoce."""
    recent_peers: tuple[str, ...] = ()
    wizard_done: bool = False
    unknown: Mapping[str, Any] = field(default_factory=dict)
    """Keys this version does not know, written back untouched."""

    def recordings_folder(self) -> Path:
        folder = Path(self.recordings) if self.recordings else recordings_dir()
        try:
            return folder.expanduser()
        except RuntimeError:  # "~somebody" who is not there: no such folder either
            return folder

    def with_peer(self, name: str) -> Settings:
        """These settings with ``name`` first among the recent peers."""
        name = clean_name(name)
        if not name:
            return self
        others = [peer for peer in self.recent_peers if peer != name]
        peers = (name, *others)[:MAX_RECENT_PEERS]
        return dataclasses.replace(self, recent_peers=peers)


_CHOICES: dict[str, tuple[Any, ...]] = {
    "push_to_talk": ("off", "hold", "toggle"),
    "arm": ("phonemes", "opus"),
    "theme": ("system", "dark", "light"),
    "layers": tuple(range(MAX_LAYERS + 1)),
    "opus_rate_bps": OPUS_RATES_BPS,
    "opus_frame_ms": OPUS_FRAMES_MS,
}


def _valid(key: str, value: Any, default: Any) -> Any:
    """``value`` if it can stand for ``key``, else ``default``."""
    if key in _CHOICES:
        known = type(value) is type(default) and value in _CHOICES[key]
        return value if known else default
    if key == "wire_bps":
        low, high = WIRE_RANGE_BPS
        return value if type(value) is int and low <= value <= high else default
    if key == "volume":
        usable = isinstance(value, int | float) and not isinstance(value, bool)
        return float(min(2.0, max(0.0, value))) if usable and value == value else default
    if isinstance(default, bool):
        return value if isinstance(value, bool) else default
    if isinstance(default, tuple):
        if not isinstance(value, list | tuple):
            return default
        texts = [item for item in value if isinstance(item, str) and len(item) <= 500]
        if key == "recent_peers":
            texts = [name for name in map(clean_name, texts) if name][:MAX_RECENT_PEERS]
        return tuple(texts[:32])
    if not isinstance(value, str):
        return default
    if key == "name":
        return clean_name(value)
    return value if len(value) <= 4096 and "\0" not in value else default


def from_mapping(values: Mapping[str, Any]) -> Settings:
    """Validated settings from parsed JSON; what does not fit falls back to its default."""
    known = {f.name: f for f in dataclasses.fields(Settings) if f.name != "unknown"}
    defaults = Settings()
    fields = {
        key: _valid(key, values[key], getattr(defaults, key)) for key in known if key in values
    }
    unknown = {key: value for key, value in values.items() if key not in known}
    return Settings(**fields, unknown=unknown)


def to_mapping(settings: Settings) -> dict[str, Any]:
    values = dataclasses.asdict(settings)
    unknown = values.pop("unknown")
    return {**unknown, **values}


def settings_path() -> Path:
    return config_dir() / FILE_NAME


def load_settings(path: Path | None = None) -> Settings:
    """Read the settings; none gives defaults, a damaged file is kept aside as ``.broken``."""
    path = path or settings_path()
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ValueError("too large")
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise ValueError("not an object")
        return from_mapping(values)
    except FileNotFoundError:
        return Settings()
    except (ValueError, RecursionError) as error:
        aside = path.with_suffix(".broken")
        log.warning("settings cannot be read (%s); starting fresh, old file: %s", error, aside)
        try:
            os.replace(path, aside)
        except OSError as failure:
            log.warning("the old settings could not be put aside: %s", failure)
        return Settings()
    except OSError as error:
        log.warning("settings cannot be opened: %s", error)
        return Settings()


def save_settings(settings: Settings, path: Path | None = None) -> None:
    """Write the settings under a temporary name, then rename.

    Raises SottovoceError when the folder cannot be written to.
    """
    path = path or settings_path()
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    text = json.dumps(to_mapping(settings), indent=2, ensure_ascii=False, sort_keys=True)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("w", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        partial.chmod(0o600)  # TURN passwords may stand in it
        os.replace(partial, path)
    except (OSError, UnicodeEncodeError) as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise SottovoceError(
            f"Settings cannot be saved to {path} ({error}): check the folder's permissions."
        ) from error
