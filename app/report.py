"""The bundle's HTML report: one file with figures, plots and players, readable without a network.

Everything comes from the bundle; nothing is measured here and no time of day is written, so the
same bundle makes the same page.
"""

from __future__ import annotations

import html
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import soundfile

from app.export import TWO_TALKERS, Bundle, EventRow
from app.plots import data_address, line_chart, spectrogram, timeline
from engine.events import TICK_MS, Pcm
from engine.phonemes import PHONEMES

MAX_EMBEDDED_SECONDS = 600.0  # all sounds together; beyond it the players point to the files
MAX_TIMELINE_SECONDS = 60.0

_STYLE = """
:root{color-scheme:light dark;--fg:#1c2128;--bg:#fff;--soft:#667;--grid:#ccd3dc;--card:#f4f6f9;
--a:#0b6bcb;--b:#c2570c;--c:#14804a;--d:#8a3ffc}
@media(prefers-color-scheme:dark){:root{--fg:#e6e9ee;--bg:#14171c;--soft:#99a;--grid:#39414d;
--card:#1d222a;--a:#5aa9f7;--b:#f2994a;--c:#4cc38a;--d:#be95ff}}
body{font:15px/1.5 Inter,"Noto Sans","DejaVu Sans",system-ui,sans-serif;color:var(--fg);
background:var(--bg);max-width:900px;margin:32px auto;padding:0 20px}
h1{font-size:24px;margin:0 0 4px}h2{font-size:17px;margin:32px 0 8px}
table{border-collapse:collapse;width:100%}
td,th{text-align:right;padding:4px 10px;border-bottom:1px solid var(--grid);
font-variant-numeric:tabular-nums}th{font-weight:600}td:first-child,th:first-child{text-align:left}
.note{color:var(--soft)}.badge{background:var(--b);color:#fff;border-radius:4px;padding:1px 6px;
font-size:12px}
figure{margin:14px 0}figcaption{font-weight:600;margin-bottom:4px}.unit{color:var(--soft);
font-weight:400}svg{width:100%;height:auto;display:block}.scroll{overflow-x:auto}
.scroll svg{max-width:none}.grid{stroke:var(--grid);stroke-width:1}
text{font-size:12px;fill:var(--soft)}.ya{text-anchor:end}.xa{text-anchor:middle}
.line{fill:none;stroke-width:2}.k0{stroke:var(--a)}.k1{stroke:var(--b)}.k2{stroke:var(--c)}
.k3{stroke:var(--d)}.key{font-weight:400;margin-left:12px}.key::before{content:"";
display:inline-block;width:18px;height:3px;margin-right:5px;vertical-align:middle;
background:currentColor}.key.k0{color:var(--a)}.key.k1{color:var(--b)}.key.k2{color:var(--c)}
.key.k3{color:var(--d)}g text{text-anchor:middle;fill:#fff;font-size:14px}
.sent rect{fill:var(--a)}.played rect{fill:var(--c)}.concealed rect{fill:var(--b)}
.lost rect{fill:#c22}.sil rect{fill:var(--grid)}
.sound{background:var(--card);border-radius:8px;padding:10px 12px;margin:10px 0}
audio{width:100%;display:block;margin-top:6px}img{width:100%;height:96px;display:block;
border-radius:4px}pre{background:var(--card);padding:12px;border-radius:8px;overflow-x:auto;
font-size:13px}
"""

_LABELS = {
    "payload_bps": "payload bit/s",
    "wire_bps": "on-the-wire bit/s",
    "packets_sent": "packets sent",
    "packets_lost": "packets lost",
    "events_sent": "events sent",
    "events_lost": "events lost",
    "events_concealed": "events concealed",
    "delay_ms_median": "delay, median ms",
    "delay_ms_p95": "delay, 95 % ms",
    "descriptor_bits": "voice, bits",
    "intelligibility": "intelligibility",
}
_CALL_NAMES = {
    "near": "Who talked here (near end)",
    "far_phonemes": "What was heard of the other side, as phonemes (far end)",
    "far_opus": "What was heard of the other side, as Opus (far end)",
}
_NAMES = {
    "near": "What was said (near end)",
    "far_phonemes": "What arrived as phonemes (far end)",
    "far_opus": "What arrived as Opus (far end)",
    "heard_phonemes": "Phonemes with the delays they really had",
    "heard_opus": "Opus with the delays it really had",
    "far_codec2": "What arrived as Codec2 (far end)",
}


def _value(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.2f}" if abs(value) < 10 else f"{value:,.0f}"
    return html.escape(f"{value:,}" if isinstance(value, int) else str(value))


def _table(summary: Mapping[str, Mapping[str, Any]]) -> str:
    if not summary:
        return '<p class="none">No figures.</p>'
    keys = [key for key in _LABELS if any(key in arm for arm in summary.values())]
    head = "".join(f"<th>{html.escape(arm)}</th>" for arm in summary)
    rows = "".join(
        f"<tr><td>{_LABELS[key]}</td>"
        + "".join(f"<td>{_value(arm.get(key))}</td>" for arm in summary.values())
        + "</tr>"
        for key in keys
    )
    return f"<table><tr><th></th>{head}</tr>{rows}</table>"


def _wav_bytes(pcm: Pcm) -> bytes:
    """16-bit WAV in memory: a player needs no codec for it."""
    file = io.BytesIO()
    samples = np.round(np.clip(pcm, -1.0, 1.0) * 32767.0).astype(np.int16)
    soundfile.write(file, samples, 16_000, subtype="PCM_16", format="WAV")
    return file.getvalue()


def _sounds(sounds: Mapping[str, Pcm], names: Mapping[str, str]) -> str:
    embedded = sum(map(len, sounds.values())) / 16_000 <= MAX_EMBEDDED_SECONDS
    out = []
    for name, pcm in sounds.items():
        source = data_address("audio/wav", _wav_bytes(pcm)) if embedded else f"{name}.wav"
        badge = ' <span class="badge">synthetic voice</span>' if "phonemes" in name else ""
        title = html.escape(names.get(name, name))
        out.append(
            f'<div class="sound"><b>{title}</b>{badge} '
            f'<span class="note">{len(pcm) / 16_000:.1f} s, {html.escape(name)}.wav</span>'
            f'<img alt="spectrogram of {title}" src="'
            f'{data_address("image/png", spectrogram(pcm))}">'
            f'<audio controls preload="none" src="{source}"></audio></div>'
        )
    return "".join(out)


def _tracks(events: Sequence[EventRow]) -> dict[str, list[tuple[float, float, str, str]]]:
    tracks: dict[str, list[tuple[float, float, str, str]]] = {}
    for row in events:
        event = row.event
        far = row.side == "far"
        start = row.play_tick if far and row.play_tick is not None else event.start_tick
        ticks = row.play_ticks if far and row.play_ticks else event.duration_ticks
        begin = start * TICK_MS / 1000
        if begin > MAX_TIMELINE_SECONDS:
            continue
        label = "" if event.is_silence else PHONEMES[event.phoneme]
        kind = "sil" if event.is_silence and row.status != "lost" else row.status
        tracks.setdefault(row.side, []).append((begin, begin + ticks * TICK_MS / 1000, label, kind))
    return tracks


def _series(
    stats: Sequence[Mapping[str, Any]], ending: str
) -> dict[str, list[tuple[float, float | None]]]:
    """The columns of ``stats`` that end in ``ending``, named by what stands before it."""
    if not stats:
        return {}
    keys = [key for key in stats[0] if str(key).endswith(ending)]
    lines: dict[str, list[tuple[float, float | None]]] = {}
    for key in keys[:4]:
        name = str(key).removesuffix(ending).strip("_").replace("_", " ") or ending.strip("_")
        lines[name] = [
            (float(row["second"]), None if row.get(key) in (None, "") else float(row[key]))
            for row in stats
        ]
    return lines


def render_report(bundle: Bundle, sounds: Mapping[str, Pcm], manifest: Mapping[str, Any]) -> str:
    """The whole page as text."""
    charts = [
        line_chart("Payload", "bit/s, log scale", _series(bundle.stats, "payload_bps"), log=True),
        line_chart("On the wire", "bit/s, log scale", _series(bundle.stats, "wire_bps"), log=True),
        line_chart("Delay", "ms, mouth to ear", _series(bundle.stats, "delay_ms")),
        line_chart("Loss", "% of packets", _series(bundle.stats, "loss_percent")),
    ]
    if _series(bundle.stats, "intelligibility"):
        charts.append(line_chart("Intelligibility", "%", _series(bundle.stats, "intelligibility")))
    names = _CALL_NAMES if TWO_TALKERS in manifest else _NAMES
    shown = html.escape(json.dumps(manifest, indent=2, ensure_ascii=False))
    first = f"first {MAX_TIMELINE_SECONDS:.0f} s; green: spoken, orange: concealed, red: lost"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{html.escape(bundle.title)}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{html.escape(bundle.title)}</h1>"
        '<p class="note">Evaluation bundle of Sottovoce. Speech on the phonemes arm is synthetic: '
        "it was spoken by a machine from phonemes and a voice descriptor.</p>"
        f"<h2>Figures</h2>{_table(bundle.summary)}"
        f"<h2>Listen</h2>{_sounds(sounds, names)}"
        f"<h2>What was said and what was spoken</h2>{timeline(first, _tracks(bundle.events))}"
        f"<h2>Over time</h2>{''.join(charts)}"
        f"<h2>Manifest</h2><pre>{shown}</pre></body></html>\n"
    )
