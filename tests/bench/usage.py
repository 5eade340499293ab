"""What processes use: CPU seconds and resident memory, with all their children."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from baggage.local.processes import Process, ProcessError

_BETWEEN_SAMPLES = 0.5


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its children, those that have ended included; 0 before the start."""
    total = 0.0
    for process in _family(pid):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def resident_bytes(pid: int) -> int:
    """Resident memory of a process and its children."""
    total = 0
    for process in _family(pid):
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def thread_seconds(pid: int) -> dict[tuple[int, str], float]:
    """User and system time of each thread of a process and its children, by its id and name."""
    times = {}
    for process in _family(pid):
        try:
            threads = process.threads()
        except psutil.NoSuchProcess:
            continue
        for thread in threads:
            comm = Path(f"/proc/{process.pid}/task/{thread.id}/comm")
            with suppress(OSError):
                times[thread.id, comm.read_text().strip()] = thread.user_time + thread.system_time
    return times


def _family(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


class Meter:
    """Measures processes while it is open: CPU seconds by name, and the peak of their memory together, in bytes."""

    def __init__(self, processes: Mapping[str, Process]) -> None:
        self._processes = processes
        self._before: dict[str, float] = {}
        self._threads_before: dict[tuple[int, str], float] = {}
        self._stop = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self.peak_bytes = 0

    def cpu(self) -> dict[str, float]:
        """CPU seconds by name since the meter was opened."""
        return {name: cpu_seconds(process.pid) - self._before[name] for name, process in self._processes.items()}

    def threads(self) -> dict[str, float]:
        """CPU seconds by process and name of the thread since the meter was opened, the busiest first."""
        seconds: defaultdict[str, float] = defaultdict(float)
        for name, process in self._processes.items():
            for thread, now in thread_seconds(process.pid).items():
                seconds[f"{name}: {thread[1]}"] += now - self._threads_before.get(thread, 0)
        return dict(sorted(seconds.items(), key=lambda item: item[1], reverse=True))

    def check(self) -> None:
        """Raise ProcessError, with its log, for a process that has ended."""
        for name, process in self._processes.items():
            if not process.alive():
                raise ProcessError(f"{name} has ended:\n{process.log_tail()}")

    def _sample(self) -> None:
        while not self._stop.wait(_BETWEEN_SAMPLES):
            memory = sum(resident_bytes(process.pid) for process in self._processes.values())
            self.peak_bytes = max(self.peak_bytes, memory)

    def __enter__(self) -> Self:
        self._before = {
            name: cpu_seconds(process.pid) if process.pid else 0 for name, process in self._processes.items()
        }
        for process in self._processes.values():
            self._threads_before |= thread_seconds(process.pid)
        self._sampler.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._sampler.join()
