"""``gui``, ``call``, ``demo``: people on a line."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import typer

from app.commands.checks import OPUS_DEEP_PLC, OPUS_LIBRARY, WIRE_KBPS, opus_options, opus_rate
from engine.errors import SottovoceError
from engine.events import MAX_LAYERS


def _start_logging() -> None:
    from app.logs import set_up_logging

    set_up_logging()


def _check_display() -> None:
    """Qt ends the process where it finds no display: say so before."""
    needs_one = sys.platform.startswith("linux") and not os.environ.get("QT_QPA_PLATFORM")
    if needs_one and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise SottovoceError(
            "There is no display for the window. In a terminal, `sottovoce call` makes a call and "
            "`sottovoce demo` shows one."
        )


def gui() -> None:
    """Open the call window (also: just `sottovoce`).

    Example: sottovoce gui
    """
    open_window("")


def open_(
    link: str = typer.Argument("", help="A sottovoce: link, or the invite code alone."),
    clicked: bool = typer.Option(
        False, "--clicked", help="There is no terminal: say in the window what is wrong with LINK."
    ),
) -> None:
    """Open the call window with an invite that you were sent (also: just `sottovoce LINK`).

    A window that is open already is used. Nothing is answered before you press Join.

    Example: sottovoce open sottovoce:CODE
    """
    from transport.description import Role
    from transport.invite import decode_invite

    if not clicked:
        decode_invite(link, Role.CALLER)  # rubbish is refused here, with advice
    open_window(link)


def desktop(
    remove: bool = typer.Option(False, "--remove", help="Take it out again."),
) -> None:
    """Put Sottovoce into the desktop's menu and let it open sottovoce: links (Linux).

    Example: sottovoce desktop
    """
    from app import desktop as entry

    for line in entry.remove() if remove else entry.install():
        typer.echo(line)


def open_window(link: str) -> None:
    _check_display()
    _start_logging()
    from app.settings import load_settings
    from app.ui.application import run

    raise typer.Exit(run(load_settings(), link))


def call(
    mic: str = typer.Option(
        "device", help="A sound file, a device's name, 'device' (the default one) or 'none'."
    ),
    out: str = typer.Option(
        "device", help="A WAV to write, a device's name, 'device' (the default one) or 'none'."
    ),
    invite: str | None = typer.Option(
        None, help="Join: the invite code you were given. Your answer is printed."
    ),
    listen: bool = typer.Option(
        False, "--listen", help="Start: print an invite code, then read the answer code."
    ),
    name: str = typer.Option("", help="Your name, as the other side sees it."),
    seconds: float | None = typer.Option(None, min=0.1, help="Hang up after this long."),
    arm: str = typer.Option("phonemes", help="What to listen to: phonemes or opus."),
    layers: int = typer.Option(
        MAX_LAYERS, min=0, max=MAX_LAYERS, help="Articulation layers to send."
    ),
    opus_kbps: float = typer.Option(6.0, min=6.0, max=64.0, help="Rate of the Opus arm."),
    opus_frame_ms: int = typer.Option(60, help="Frame of the Opus arm: 20, 40 or 60."),
    opus_library: Path | None = OPUS_LIBRARY,
    opus_deep_plc: bool = OPUS_DEEP_PLC,
    wire_kbps: float = WIRE_KBPS,
    record: Path | None = typer.Option(
        None, help="Folder for an evaluation bundle; the other side must agree."
    ),
) -> None:
    """Call somebody without a window.

    Examples: sottovoce call --listen

    sottovoce call --invite CODE --mic talk.wav --out heard.wav
    """
    if (invite is None) == (not listen):
        raise typer.BadParameter("give either --listen (start a call) or --invite CODE (join one).")
    if arm not in ("phonemes", "opus"):
        raise typer.BadParameter(f"--arm {arm}: give phonemes or opus.")
    rate_bps = opus_rate(opus_kbps, opus_frame_ms)
    opus_options(opus_library, opus_deep_plc)  # a wrong one is refused at once
    _start_logging()
    from app.headless import run_call
    from app.options import HeadlessOptions

    options = HeadlessOptions(
        microphone=mic,
        loudspeaker=out,
        invite=invite,
        listen=listen,
        name=name,
        seconds=seconds,
        arm=arm,
        layers=layers,
        opus_rate_bps=rate_bps,
        opus_frame_ms=opus_frame_ms,
        opus_library=str(opus_library or ""),
        opus_deep_plc=opus_deep_plc,
        wire_bps=round(1000 * wire_kbps),
        record=record,
    )
    raise typer.Exit(run_call(options))


def demo(
    talker: list[Path] = typer.Option(
        [], help="A sound file for a talker; give it twice for both."
    ),
    live: bool = typer.Option(False, "--live", help="Your microphone is the first talker."),
    seconds: float = typer.Option(30.0, min=2.0, max=3600.0, help="How long they talk."),
    loss: float = typer.Option(0.2, min=0.0, max=0.95, help="Part of the packets lost."),
    burst_ms: float = typer.Option(0.0, min=0.0, help="Mean length of a loss burst; 0 is random."),
    delay_ms: float = typer.Option(60.0, min=0.0, max=5000.0, help="One-way delay of the link."),
    jitter_ms: float = typer.Option(30.0, min=0.0, max=2000.0, help="Jitter of the link."),
    seed: int = typer.Option(1, min=0, help="The link's luck."),
    opus_kbps: float = typer.Option(6.0, min=6.0, max=24.0, help="Rate of the Opus arm."),
    opus_frame_ms: int = typer.Option(60, help="Frame of the Opus arm: 20, 40 or 60."),
    layers: int = typer.Option(
        MAX_LAYERS, min=0, max=MAX_LAYERS, help="Articulation layers to send."
    ),
    out: Path | None = typer.Option(None, help="Folder for the evaluation bundle."),
    window: bool | None = typer.Option(
        None, "--window/--no-window", help="Open the call windows (default: with a display)."
    ),
) -> None:
    """Two peers on this machine talk over a bad link, phonemes beside Opus.

    Examples: sottovoce demo

    sottovoce demo --loss 0.5 --burst-ms 250 --talker me.wav --talker you.wav
    """
    rate_bps = opus_rate(opus_kbps, opus_frame_ms)
    if len(talker) > 2:
        raise typer.BadParameter("there are two talkers: give --talker at most twice.")
    for path in talker:
        if not path.is_file():
            raise SottovoceError(f"{path}: no such file. Give a WAV, FLAC, Ogg or MP3 file.")
    _start_logging()
    from app.demo import run_demo
    from app.options import DemoOptions

    options = DemoOptions(
        talkers=tuple(talker),
        live=live,
        seconds=seconds,
        loss=loss,
        burst_ms=burst_ms,
        delay_ms=delay_ms,
        jitter_ms=jitter_ms,
        seed=seed,
        opus_rate_bps=rate_bps,
        opus_frame_ms=opus_frame_ms,
        layers=layers,
        out=out,
        window=window,
    )
    raise typer.Exit(run_demo(options))


def register(cli: typer.Typer) -> None:
    cli.command()(gui)
    cli.command("open")(open_)
    cli.command()(desktop)
    cli.command()(call)
    cli.command()(demo)
