"""Settings survive damage, newer versions and full disks."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from app import settings as module
from app.settings import Settings, clean_name, load_settings, save_settings, settings_path
from engine.errors import SottovoceError
from engine.events import MAX_LAYERS


def test_without_a_file_the_defaults_are_used() -> None:
    assert load_settings() == Settings()


def test_what_is_saved_is_read_back() -> None:
    saved = Settings(name="Ada", volume=0.5, opus_rate_bps=12_000, recent_peers=("Bob",))
    save_settings(saved)
    assert load_settings() == saved
    assert not list(settings_path().parent.glob("*.partial"))


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b"\xff\xfe\x00", b'{"name": ' + b"[" * 100_000, b"null"]
)
def test_a_damaged_file_is_kept_aside_and_defaults_are_used(damage: bytes) -> None:
    path = settings_path()
    path.write_bytes(damage)
    assert load_settings() == Settings()
    assert path.with_suffix(".broken").read_bytes() == damage
    assert not path.exists()


def test_a_huge_file_is_not_read() -> None:
    settings_path().write_bytes(b" " * (module.MAX_FILE_BYTES + 1))
    assert load_settings() == Settings()


def test_values_out_of_range_fall_back_one_by_one() -> None:
    values = {
        "name": "x" * 10_000,
        "volume": 99,
        "layers": True,
        "opus_frame_ms": 21,
        "wire_bps": 100,
        "arm": 7,
        "theme": "dark",
        "stun_servers": ["stun:a", 3, None],
        "echo_cancellation": "yes",
        "recent_peers": ["a\x00b", "", "c"],
    }
    settings_path().write_text(json.dumps(values))
    got = load_settings()
    assert got.name == "x" * module.MAX_NAME_LENGTH
    assert got.volume == 2.0
    assert (got.layers, got.opus_frame_ms, got.arm) == (MAX_LAYERS, 60, "phonemes")
    assert (got.wire_bps, got.opus_library) == (module.DEFAULT_WIRE_BPS, "")
    assert got.theme == "dark"
    assert got.stun_servers == ("stun:a",)
    assert got.echo_cancellation is True
    assert got.recent_peers == ("ab", "c")


def test_keys_of_a_newer_version_are_kept() -> None:
    settings_path().write_text('{"from_the_future": [1, 2], "name": "Ada"}')
    save_settings(load_settings())
    assert json.loads(settings_path().read_text())["from_the_future"] == [1, 2]


def test_nan_volume_is_refused() -> None:
    settings_path().write_text('{"volume": NaN}')
    assert load_settings().volume == 1.0


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    with pytest.raises(SottovoceError, match="cannot be saved"):
        save_settings(Settings(), blocker / "settings.json")


def test_numbers_and_folders_that_cannot_be_are_no_end_of_the_program(tmp_path: Path) -> None:
    settings_path().write_text('{"volume": 1%s, "recordings": "a\\u0000b"}' % ("0" * 400))
    assert (load_settings().volume, load_settings().recordings) == (2.0, "")
    nobody = Settings(recordings="~nobody-of-this-name/calls")
    assert nobody.recordings_folder().name == "calls"


def test_a_disk_that_fills_up_leaves_the_settings_there_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    save_settings(Settings(name="Ada"))

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SottovoceError, match="No space left"):
        save_settings(Settings(name="Bo"))
    assert load_settings().name == "Ada"
    assert list(settings_path().parent.glob("*.partial")) == []


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
def test_others_cannot_read_the_turn_passwords() -> None:
    save_settings(Settings(turn_servers=("turn:me:secret@host:3478",)))
    assert settings_path().stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("  Ada \n Lovelace\t", "Ada Lovelace"),
        ("\x1b[31mred\x07", "[31mred"),
        ("a\u202eb\u200fc", "abc"),
        ("x" * 10_000, "x" * 40),
        ("\ud800", ""),
        ("李雷", "李雷"),
    ],
)
def test_names_are_safe_to_show(given: str, shown: str) -> None:
    assert clean_name(given) == shown


def test_recent_peers_are_newest_first_without_doubles() -> None:
    settings = Settings()
    for name in ("a", "b", "a", " "):
        settings = settings.with_peer(name)
    assert settings.recent_peers == ("a", "b")
