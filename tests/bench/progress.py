"""How far a long piece of work is: a bar at a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

_LINE_SECONDS = 15


class Progress:
    """One piece of work, of which `total` things are to be done."""

    def __init__(self, console: Console, what: str, total: float, bar: Bar | None) -> None:
        self._console, self._what, self._total, self._bar = console, what, total, bar
        self._task = bar.add_task(what, total=total) if bar else None
        self._started = self._said = time.monotonic()

    def at(self, done: float) -> None:
        """Say that so much is done."""
        now = time.monotonic()
        if self._bar and self._task is not None:
            self._bar.update(self._task, completed=done)
        elif now - self._said > _LINE_SECONDS:
            self._said = now
            self._console.print(f"{self._what}: {done:,.0f} of {self._total:,.0f} after {now - self._started:.0f} s")


@contextmanager
def progress(console: Console, what: str, total: float) -> Iterator[Progress]:
    """Show the progress of one piece of work."""
    if not console.is_terminal:
        console.print(what, highlight=False)
        yield Progress(console, what, total, None)
        return
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Bar(*columns, console=console) as bar:
        yield Progress(console, what, total, bar)
