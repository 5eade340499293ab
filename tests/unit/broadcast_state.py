"""A stand-in for the broadcast state of an operator, to test what is around it without Flink."""

from __future__ import annotations

from collections.abc import Iterable


class BroadcastState:
    """What Flink's broadcast state has in thread mode, and nothing else."""

    def __init__(self) -> None:
        self.stored: dict[str, str] = {}

    def items(self) -> Iterable[tuple[str, str]]:
        return self.stored.items()

    def put(self, key: str, value: str) -> None:
        self.stored[key] = value
