"""`python -m baggage.jobs.keeper`: submit the jobs, and again whenever one is gone or the password is another.

Where the first submission fails it ends, with exit code 1, for whoever started it to see. It looks at Flink and at the
file of the password only; each submission is a process of its own, since its JVM takes memory that nothing needs later.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import structlog
from clickhouse_connect.driver.exceptions import ClickHouseError

from baggage import log
from baggage.jobs.names import JOB_NAMES
from baggage.jobs.rest import FlinkError, FlinkRest
from baggage.provision.schema import connect
from baggage.settings import ClickHouseSettings, Settings, read_settings

_INTERVAL = 10
#: A TaskManager or JobManager that is lost takes a few seconds to come back, with its jobs.
_LOOKS_BEFORE_SUBMISSION = 2
_SUBMIT = (sys.executable, "-m", "baggage.jobs")

logger = structlog.get_logger()


class Keeper:
    """Submits the jobs, and decides at each look whether to do so again."""

    def __init__(
        self, flink: FlinkRest, password: Callable[[], str], accepted: Callable[[], bool], submit: Callable[[], bool]
    ) -> None:
        self._flink = flink
        self._password = password
        self._accepted = accepted
        self._submit = submit
        self._submitted_with = ""
        self._looks_without = 0

    def start(self) -> bool:
        """Submit for the first time; return whether that succeeded."""
        return self._submit_with(self._password(), "the start")

    def look(self) -> bool:
        """Look once, and submit if that is needed; return whether all jobs run."""
        password = self._password()
        if password != self._submitted_with and self._accepted():
            return self._submit_with(password, "another password")
        try:
            live = {job.name for job in self._flink.live_jobs()}
            running = self._flink.running_jobs()
        except FlinkError as error:
            logger.warning("Flink does not answer", reason=str(error))
            return False
        gone = sorted(set(JOB_NAMES) - live)
        self._looks_without = self._looks_without + 1 if gone else 0
        if self._looks_without >= _LOOKS_BEFORE_SUBMISSION:
            return self._submit_with(password, f"gone: {', '.join(gone)}")
        return running == len(JOB_NAMES)

    def _submit_with(self, password: str, reason: str) -> bool:
        logger.info("submitting the jobs", reason=reason)
        if not self._submit():
            logger.error("the jobs could not be submitted; trying again", seconds=_INTERVAL)
            return False
        self._submitted_with, self._looks_without = password, 0
        return True


def keep(settings: Settings, ready: Path, stop: threading.Event) -> bool:
    """Submit, and look every few seconds until `stop`; the file `ready` is there, and new, while all jobs run.

    Returns whether the first submission succeeded.
    """
    keeper = Keeper(
        FlinkRest(settings.flink.rest_url),
        settings.clickhouse.secret,
        lambda: _is_accepted(settings.clickhouse),
        lambda: _run_submit(stop),
    )
    ready.unlink(missing_ok=True)
    runs = keeper.start()
    if not runs:
        return stop.is_set()
    while not stop.is_set():
        if runs:
            ready.touch()
        else:
            ready.unlink(missing_ok=True)
        stop.wait(_INTERVAL)
        runs = keeper.look()
    return True


def _is_accepted(settings: ClickHouseSettings) -> bool:
    """Whether ClickHouse takes the password; it may learn of another one later than we do."""
    try:
        connect(settings).close()
    except ClickHouseError as error:
        logger.warning("waiting for ClickHouse to take the other password", reason=str(error).splitlines()[0])
        return False
    return True


def _run_submit(stop: threading.Event) -> bool:
    """Run the submission to its end, or to `stop`; return whether it succeeded."""
    submission = subprocess.Popen(_SUBMIT)  # noqa: S603 (our own command)
    while submission.poll() is None:
        if stop.wait(0.2):
            submission.terminate()
    _reap()
    return submission.returncode == 0


def _reap() -> None:
    """Take leave of the ended: the first process of a container inherits the JVMs of its submissions."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def main() -> None:
    """Keep the jobs running until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m baggage.jobs.keeper", description=__doc__)
    parser.add_argument("ready", type=Path, help="a file that is there, and new, while all jobs run")
    arguments = parser.parse_args()
    settings = read_settings()
    log.configure(settings.log_level)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    sys.exit(0 if keep(settings, arguments.ready, stop) else 1)


if __name__ == "__main__":
    main()
