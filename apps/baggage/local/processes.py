"""A supervised child process: started, waited for, restarted if it dies, and gone with its parent."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class ProcessError(RuntimeError):
    """A process did not start, or ended when it should not."""


class Process:
    """One child process in a group of its own, with its output in a log file.

    With `restart`, a watcher starts it again when it ends by itself, as Kubernetes would.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        env: Mapping[str, str] | None = None,
        *,
        restart: bool = False,
    ) -> None:
        self.name = name
        self._command = list(command)
        self._log = log
        self._env = {**os.environ, **(env or {})}
        self._restart = restart
        self._stopping = threading.Event()
        self._spawning = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id; 0 before the start."""
        return self._child.pid if self._child else 0

    def start(self) -> None:
        """Start the process, and its watcher if it is to be restarted."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._spawn()
        if self._restart:
            threading.Thread(target=self._watch, name=f"watch {self.name}", daemon=True).start()

    def alive(self) -> bool:
        """Whether the process runs."""
        return self._child is not None and self._child.poll() is None

    @property
    def returncode(self) -> int | None:
        """The exit code; None while it runs."""
        return self._child.poll() if self._child else None

    def wait_until(self, ready: Callable[[], bool], timeout: float) -> None:
        """Wait for a condition; raise ProcessError with the end of the log where it does not come about."""
        deadline = time.monotonic() + timeout
        while not ready():
            if not self.alive() and not self._restart:
                raise ProcessError(f"{self.name} ended at its start:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise ProcessError(f"{self.name} is not ready after {timeout:.0f} s:\n{self.log_tail()}")
            time.sleep(0.1)

    def log_tail(self, lines: int = 15) -> str:
        """The end of the log."""
        text = self._log.read_text(errors="replace") if self._log.exists() else ""
        return "\n".join(text.splitlines()[-lines:]) + f"\n(all of it: {self._log})"

    def memory(self) -> int:
        """Resident bytes of the process and its children."""
        try:
            process = psutil.Process(self.pid)
            return sum(p.memory_info().rss for p in [process, *process.children(recursive=True)])
        except psutil.NoSuchProcess:
            return 0

    def stop(self, timeout: float = 20) -> None:
        """Ask the whole group to end, and end what is left of it by force."""
        with self._spawning:
            self._stopping.set()
        if self._child is None:
            return
        self._signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(timeout)
        self._signal(signal.SIGKILL)
        self._child.wait()

    def _signal(self, number: int) -> None:
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return

    def _spawn(self) -> None:
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(  # noqa: S603 (our own commands)
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._env,
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )

    def _watch(self) -> None:
        while self._child and not self._stopping.is_set():
            self._child.wait()
            self._stopping.wait(0.5)
            with self._spawning:
                if self._stopping.is_set():
                    return
                self._spawn()


def _end_with_parent() -> None:
    """Ask Linux to kill this process when the thread that started it ends, however it ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
