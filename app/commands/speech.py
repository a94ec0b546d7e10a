"""``encode``, ``decode``, ``info``, ``morph``: speech in files, without a network."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from engine.errors import SottovoceError
from engine.events import MAX_LAYERS

if TYPE_CHECKING:
    from engine.codec import EncodedSpeech
    from engine.events import VoiceDescriptor


class Recognizer(StrEnum):
    """How ``encode`` finds the phonemes."""

    streaming = "streaming"
    best = "best"


def load_sotto(path: Path) -> EncodedSpeech:
    """Read a ``.sotto`` file. Raises SottovoceError with one line when it cannot be."""
    from engine.codec import EncodedSpeech

    if not path.exists():
        raise SottovoceError(f"{path}: no such file. Make one with `sottovoce encode`.")
    if not path.is_file():
        raise SottovoceError(f"{path} is not a file. Give one that `sottovoce encode` wrote.")
    try:
        return EncodedSpeech.load(path)
    except SottovoceError as error:
        raise SottovoceError(f"{path}: {error}") from error


def _voice_of(encoded: EncodedSpeech, path: Path) -> VoiceDescriptor:
    if encoded.voice is None:
        raise SottovoceError(f"{path} holds no voice: it was made from too little speech.")
    return encoded.voice


def describe(encoded: EncodedSpeech) -> dict[str, Any]:
    """What ``info`` prints: counts and rates, nothing of what was said."""
    return {
        "seconds": round(encoded.seconds, 3),
        "events": len(encoded.events),
        "layers": max((len(event.codes) for event in encoded.events), default=0),
        "payload_bits": encoded.payload_bits,
        "descriptor_bits": encoded.descriptor_bits,
        "bits_per_second": round(encoded.bits_per_second, 2),
    }


def _check_output(path: Path) -> None:
    """Refuse an impossible output before the work is done, not after."""
    if path.is_dir():
        raise SottovoceError(f"{path} is a folder: give a file name.")
    if not path.parent.is_dir():
        raise SottovoceError(f"The folder {path.parent} does not exist: create it first.")


def encode(
    source: Path = typer.Argument(..., metavar="IN.wav", help="Speech; any rate, any channels."),
    target: Path = typer.Argument(..., metavar="OUT.sotto"),
    layers: int = typer.Option(
        MAX_LAYERS,
        min=0,
        max=MAX_LAYERS,
        help=f"Articulation layers: 0 is the smallest, {MAX_LAYERS} the closest.",
    ),
    recognizer: Recognizer = typer.Option(
        Recognizer.streaming, help="As in a call, or by way of words: slower, fewer wrong sounds."
    ),
) -> None:
    """Encode a recording to a .sotto file.

    Example: sottovoce encode talk.wav talk.sotto --layers 2
    """
    from app.wavfile import read_wav

    _check_output(target)
    pcm = read_wav(source)  # before the models are loaded: a wrong file is refused at once
    from engine.codec import SpeechCodec

    encoded = SpeechCodec().encode(pcm, layers=layers, recognizer=recognizer.value)
    encoded.save(target)
    facts = describe(encoded)
    typer.echo(
        f"{target}: {facts['seconds']:.1f} s, {facts['events']} events, "
        f"{target.stat().st_size} bytes, {facts['bits_per_second']:.0f} bit/s "
        f"and {facts['descriptor_bits']} bits of voice"
    )


def decode(
    source: Path = typer.Argument(..., metavar="IN.sotto"),
    target: Path = typer.Argument(..., metavar="OUT.wav"),
    voice: Path | None = typer.Option(
        None, metavar="OTHER.sotto", help="Speak in the voice of another recording."
    ),
) -> None:
    """Speak a .sotto file again, to a 16 kHz WAV.

    Example: sottovoce decode talk.sotto again.wav --voice somebody-else.sotto
    """
    from app.watermark import SYNTHETIC_COMMENT
    from app.wavfile import write_wav
    from engine.codec import SpeechCodec

    _check_output(target)
    encoded = load_sotto(source)
    other = _voice_of(load_sotto(voice), voice) if voice else None
    pcm = SpeechCodec().decode(encoded, voice=other)
    write_wav(target, pcm, comment=SYNTHETIC_COMMENT)
    typer.echo(f"{target}: {len(pcm) / 16_000:.1f} s of synthetic speech")


def info(
    source: Path = typer.Argument(..., metavar="FILE.sotto"),
    as_json: bool = typer.Option(False, "--json", help="One JSON object on standard output."),
) -> None:
    """Print how long a .sotto file is and what it costs.

    Example: sottovoce info talk.sotto --json
    """
    facts = describe(load_sotto(source))
    if as_json:
        typer.echo(json.dumps(facts))
        return
    for key, value in facts.items():
        typer.echo(f"{key.replace('_', ' '):>16}  {value}")


def morph(
    source: Path = typer.Argument(..., metavar="WORDS.sotto", help="What is said."),
    other: Path = typer.Argument(..., metavar="VOICE.sotto", help="The voice to go towards."),
    target: Path = typer.Argument(..., metavar="OUT.wav"),
    amount: float = typer.Option(
        0.5, min=0.0, max=1.0, help="0 keeps the talker's own voice, 1 takes the other one."
    ),
) -> None:
    """Speak a .sotto file in a voice between two voices.

    Example: sottovoce morph me.sotto you.sotto between.wav --amount 0.5
    """
    from app.watermark import SYNTHETIC_COMMENT
    from app.wavfile import write_wav
    from engine.codec import SpeechCodec
    from engine.voice import blend

    _check_output(target)
    words = load_sotto(source)
    own, wanted = _voice_of(words, source), _voice_of(load_sotto(other), other)
    pcm = SpeechCodec().decode(words, voice=blend(own, wanted, amount))
    write_wav(target, pcm, comment=SYNTHETIC_COMMENT)
    typer.echo(f"{target}: {len(pcm) / 16_000:.1f} s, {amount:.0%} of the way to the other voice")


def register(cli: typer.Typer) -> None:
    cli.command()(encode)
    cli.command()(decode)
    cli.command()(info)
    cli.command()(morph)
