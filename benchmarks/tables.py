"""Figures as Markdown tables and JSON files, written whole or not at all."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True)
class Column:
    title: str
    key: str
    form: str = "{:.2f}"
    percent: bool = False

    def cell(self, row: Mapping[str, Any]) -> str:
        value = row.get(self.key)
        if value is None or (isinstance(value, float) and not math.isfinite(value)):
            return "–"
        return self.form.format(100 * value if self.percent else value)


def markdown(columns: Sequence[Column], rows: Mapping[str, Mapping[str, Any]], first: str) -> str:
    """A line a row; ``first`` heads the column of their names."""
    lines = [
        "| " + " | ".join([first, *(c.title for c in columns)]) + " |",
        "|---|" + "---:|" * len(columns),
    ]
    for name, row in rows.items():
        lines.append("| " + " | ".join([name, *(c.cell(row) for c in columns)]) + " |")
    return "\n".join(lines)


def write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def write_json(path: Path, value: Any) -> None:
    def plain(v: Any) -> Any:
        if isinstance(v, float):
            return round(v, 4) if math.isfinite(v) else None
        if isinstance(v, Mapping):
            return {key: plain(item) for key, item in v.items()}
        return [plain(item) for item in v] if isinstance(v, list | tuple) else v

    write_text(path, json.dumps(plain(value), indent=1, ensure_ascii=False) + "\n")
