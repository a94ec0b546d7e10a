"""``simulate``, ``evaluate``, ``bundle``, ``echo``, ``doctor``: numbers about speech and machines."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path

import typer

from app.commands.checks import (
    OPUS_DEEP_PLC,
    OPUS_LIBRARY,
    WIRE_KBPS,
    capacity_trace,
    opus_options,
    opus_rate,
)
from engine.errors import SottovoceError
from engine.events import MAX_LAYERS


class ArmChoice(StrEnum):
    phonemes = "phonemes"
    opus = "opus"
    both = "both"


def simulate(
    source: Path = typer.Argument(..., metavar="IN.wav", help="Speech; any rate, any channels."),
    target: Path = typer.Argument(..., metavar="OUTDIR", help="Made if it does not exist."),
    loss: float = typer.Option(0.2, min=0.0, max=0.99, help="Part of the packets lost."),
    burst_ms: float = typer.Option(
        0.0, min=0.0, max=5000.0, help="Mean length of a loss burst; 0 is random loss."
    ),
    delay_ms: float = typer.Option(60.0, min=0.0, max=5000.0, help="One-way delay."),
    jitter_ms: float = typer.Option(30.0, min=0.0, max=2000.0, help="Jitter."),
    seed: int = typer.Option(
        1, min=0, max=2**31 - 1, help="Same seed, same bytes (all but rtf_* in report.json)."
    ),
    arm: ArmChoice = typer.Option(ArmChoice.both, help="What crosses the link."),
    opus_kbps: float = typer.Option(6.0, min=6.0, max=64.0, help="Rate of the Opus arm."),
    opus_frame_ms: int = typer.Option(60, help="Frame of the Opus arm: 20, 40 or 60."),
    opus_library: Path | None = OPUS_LIBRARY,
    opus_deep_plc: bool = OPUS_DEEP_PLC,
    wire_kbps: float = WIRE_KBPS,
    layers: int = typer.Option(MAX_LAYERS, min=0, max=MAX_LAYERS, help="Articulation layers sent."),
    rate_kbps: float = typer.Option(
        0.0, min=0.0, max=1e6, help="Bottleneck that each arm has for itself; 0: none."
    ),
    trace: Path | None = typer.Option(
        None, help="Bottleneck over time: lines of 'seconds bits_per_second', or Mahimahi's."
    ),
    watermark: bool = typer.Option(
        False, "--watermark", help="Mark synthetic speech inaudibly; off, as it is measured."
    ),
    timed: bool = typer.Option(
        True,
        "--timed/--untimed",
        help="Say in report.json how fast this machine was (rtf_*); untimed, they are null and "
        "the same seed makes the same bytes without exception.",
    ),
) -> None:
    """Send a recording over an impaired link on a virtual clock and keep what arrives.

    Writes near.wav, far_phonemes.wav, far_opus.wav, report.json and the evaluation bundle.

    The delay of a call wanders with the link. `far_*.wav` is for comparing: it lies one constant
    delay (delay_ms_median in report.json) behind near.wav, every piece of sound moved to there
    from where it was heard, after delays.csv. `heard_*.wav` is for listening: the same sound as the
    loudspeaker had it, waiting, hurrying and all. The figures are those of what was heard.

    Examples: sottovoce simulate talk.wav out

    sottovoce simulate talk.wav out --loss 0.5 --burst-ms 250 --seed 7
    """
    rate_bps = opus_rate(opus_kbps, opus_frame_ms)
    if target.exists() and not target.is_dir():
        raise SottovoceError(f"{target} is a file: give a folder for the results.")
    from app.wavfile import read_wav
    from transport.impair import ImpairmentSettings

    opus = opus_options(opus_library, opus_deep_plc)
    link = ImpairmentSettings(
        loss=loss,
        burst_ms=burst_ms,
        delay_ms=delay_ms,
        jitter_ms=jitter_ms,
        rate_bps=1000.0 * rate_kbps,
        trace=capacity_trace(trace),
    )
    pcm = read_wav(source)  # before the models are loaded: a wrong file is refused at once
    from app.simulate import SimulationSettings, run_to_folder

    settings = SimulationSettings(
        loss=loss,
        burst_ms=burst_ms,
        delay_ms=delay_ms,
        jitter_ms=jitter_ms,
        seed=seed,
        arms=("phonemes", "opus") if arm is ArmChoice.both else (arm.value,),
        opus_rate_bps=rate_bps,
        opus_frame_ms=opus_frame_ms,
        opus=opus,
        wire_bps=1000.0 * wire_kbps,
        layers=layers,
        link=link,
    )
    report = run_to_folder(pcm, settings, target, marked=watermark, timed=timed)
    for name, figures in report.items():
        if isinstance(figures, dict) and "payload_bps" in figures:
            typer.echo(
                f"{name:>9}: {figures['payload_bps']:.0f} bit/s payload, "
                f"{figures['wire_bps']:.0f} on the wire, "
                f"{figures['packets_lost']}/{figures['packets_sent']} packets lost, "
                f"delay {figures['delay_ms_median']:.0f} ms, 95 % {figures['delay_ms_p95']:.0f} ms"
            )
    typer.echo(f"Bundle: {target}  (open {target / 'report.html'})")


def evaluate(
    near: Path = typer.Argument(..., metavar="NEAR.wav", help="What was said, or a bundle folder."),
    far: Path | None = typer.Argument(None, metavar="FAR.wav", help="What arrived."),
    text: str = typer.Option("", help="The words that were said, for the word error rate."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object on standard output."),
) -> None:
    """Score what arrived against what was said: PER, WER, ESTOI, PESQ, voice, DNSMOS.

    Examples: sottovoce evaluate near.wav far.wav --text "hello there"

    sottovoce evaluate out            (the folder of a simulation or of the demo)
    """
    from app.evaluate import evaluate_bundle, evaluate_pair

    if near.is_dir():
        if far is not None:
            raise typer.BadParameter("give one bundle folder, or two sound files.")
        scores = evaluate_bundle(near, text)
    else:
        if far is None:
            raise typer.BadParameter("give the far sound file too, or a bundle folder.")
        scores = {far.name: evaluate_pair(near, far, text)}
    if as_json:
        typer.echo(json.dumps(scores))
        return
    from app.evaluate import as_table

    typer.echo(as_table(scores))


def bundle(
    folder: Path = typer.Argument(..., metavar="FOLDER", help="What a call recorded into."),
    target: Path | None = typer.Argument(
        None, metavar="[OUT]", help="A folder or a .zip; without it, the bundle goes into FOLDER."
    ),
) -> None:
    """Make the evaluation bundle of a recorded call, also of one that a crash cut short.

    Example: sottovoce bundle "Documents/Sottovoce/2030-01-31 12.00.00"
    """
    from app.export import export_bundle
    from app.recorder import load_bundle

    typer.echo(export_bundle(load_bundle(folder), target or folder))


def echo(
    microphone: str = typer.Option("", help="By name; empty: the one of the settings."),
    loudspeaker: str = typer.Option("", help="By name; empty: the one of the settings."),
) -> None:
    """Play ten seconds of speech and say how loud its echo is and how much of it is taken out.

    Keep quiet meanwhile. The echo is what the microphone hears of the loudspeaker; the other side
    would hear itself by it.

    Example: sottovoce echo
    """
    import time

    from app.devices import open_port
    from app.echo_here import measure_here
    from app.processing import EchoGuard
    from app.settings import load_settings
    from app.talker import find_talkers
    from engine.mel import SAMPLE_RATE_HZ

    settings = load_settings()
    port = open_port(microphone or settings.input_device, loudspeaker or settings.output_device)
    far = find_talkers()[0].pcm[: 10 * SAMPLE_RATE_HZ]
    typer.echo("Playing ten seconds of speech; keep quiet, please.", err=True)
    found = measure_here(port, far, lambda: EchoGuard(noise=False, gain=False), time.sleep)
    typer.echo(f"Microphone: {found.microphone}\nLoudspeaker: {found.loudspeaker}\nEcho: {found}")


def doctor(
    as_json: bool = typer.Option(False, "--json", help="One JSON object on standard output."),
    opus_library: Path | None = OPUS_LIBRARY,
) -> None:
    """Check what Sottovoce needs on this machine: versions, models, devices, libopus, ports.

    Example: sottovoce doctor --json
    """
    from app.doctor import examine, render

    checks = examine(None if opus_library is None else str(opus_library))
    typer.echo(
        json.dumps([check.as_dict() for check in checks], indent=1) if as_json else render(checks)
    )
    if any(check.status == "bad" for check in checks):
        raise typer.Exit(1)


def register(cli: typer.Typer) -> None:
    cli.command()(simulate)
    cli.command()(evaluate)
    cli.command()(bundle)
    cli.command()(echo)
    cli.command()(doctor)
