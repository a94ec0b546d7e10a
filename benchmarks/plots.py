"""The curves beside the tables: rate against words and voice, loss against words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

RATE_TICKS_BPS = (150, 400, 1_000, 2_500, 6_000, 12_000, 24_000)
FAMILIES = {
    "phonemes": ("Sottovoce", "#c2410c", "o"),
    "opus": ("Opus", "#1d4ed8", "s"),
    "codec2": ("Codec2", "#15803d", "^"),
}


def _family(name: str) -> str:
    return name.split("-")[0]


def _figure(columns: int) -> tuple[Any, Any]:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, columns, figsize=(5.2 * columns, 3.9), squeeze=False)
    return figure, axes[0]


def _save(figure: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.partial.png")
    figure.tight_layout()
    figure.savefig(partial, dpi=110)
    partial.replace(path)
    from matplotlib import pyplot

    pyplot.close(figure)


def plot_rates(summaries: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Two panels over payload bit/s (log): WER, and speaker similarity with its anchors."""
    figure, (words, voice) = _figure(2)
    for axis, key, scale, label in (
        (words, "wer", 100, "WER, Whisper tiny.en, %"),
        (voice, "speaker", 1, "speaker similarity (Resemblyzer)"),
    ):
        for family, (title, colour, marker) in FAMILIES.items():
            points = sorted(
                (row["payload_bps"], scale * row[key], name)
                for name, row in summaries.items()
                if _family(name) == family and row.get("payload_bps") and row.get(key) is not None
            )
            if not points:
                continue
            x, y, names = zip(*points, strict=True)
            axis.plot(x, y, color=colour, marker=marker, label=title)
            for at_x, at_y, name in zip(x, y, names, strict=True):
                axis.annotate(
                    name.split("-", 1)[-1],
                    (at_x, at_y),
                    textcoords="offset points",
                    xytext=(5, 5),
                    fontsize=8,
                )
        reference = summaries.get("original", {}).get(key)
        if reference is not None and key == "wer":
            axis.axhline(scale * reference, color="#666", linestyle=":", label="original")
        axis.set_xscale("log")
        axis.set_xticks(RATE_TICKS_BPS, [f"{t:g}" for t in RATE_TICKS_BPS])
        axis.minorticks_off()
        axis.margins(0.12)
        axis.set_xlabel("payload, bit/s")
        axis.set_ylabel(label)
        axis.grid(alpha=0.25)
        axis.legend(fontsize=8)
    _save(figure, path)


def plot_links(
    rows: Mapping[str, Mapping[str, Mapping[str, Any]]], losses: Sequence[str], path: Path
) -> None:
    """Over random loss: WER, ESTOI and wire bit/s of every arm. ``rows[arm][condition]``."""
    figure, axes = _figure(3)
    panels = (("wer", 100, "WER, %"), ("estoi", 1, "ESTOI"), ("wire_bps", 1, "wire, bit/s"))
    for axis, (key, scale, label) in zip(axes, panels, strict=True):
        for number, (arm, conditions) in enumerate(rows.items()):
            known = [c for c in losses if conditions.get(c, {}).get(key) is not None]
            if not known:
                continue
            colour = FAMILIES.get(_family(arm), ("", f"C{number}", "o"))[1]
            style = ("-", "--", "-.", ":")[
                sum(_family(a) == _family(arm) for a in list(rows)[:number])
            ]
            axis.plot(
                [float(c.split()[-1].rstrip("%")) for c in known],
                [scale * conditions[c][key] for c in known],
                style,
                color=colour,
                marker="o",
                markersize=4,
                label=arm,
            )
        axis.set_xlabel("random packet loss, %")
        axis.set_ylabel(label)
        axis.grid(alpha=0.25)
        if key == "wire_bps":
            axis.set_yscale("log")
        axis.legend(fontsize=8)
    _save(figure, path)
