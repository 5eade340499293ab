"""`python -m baggage.monitor [status]`: measure the pipeline again and again; with `status`, say what is wrong now."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from datetime import UTC, datetime

import structlog
from clickhouse_connect.driver.exceptions import ClickHouseError, OperationalError

from baggage import log
from baggage.monitor import metrics, table
from baggage.monitor.measure import measure
from baggage.monitor.samples import INTERVAL
from baggage.monitor.session import Session
from baggage.provision.schema import connect
from baggage.settings import Settings, read_settings

logger = structlog.get_logger()


def monitor(settings: Settings, stop: threading.Event) -> None:
    """Measure every interval until `stop`; a port for the metrics that is taken ends it with one line."""
    try:
        newest = metrics.serve(settings.monitor.port, settings.monitor.address)
    except OSError as error:
        at = f"BAGGAGE_MONITOR__ADDRESS={settings.monitor.address}, BAGGAGE_MONITOR__PORT={settings.monitor.port}"
        sys.exit(f"error: {at}: {error.strerror}")
    session = Session(settings.clickhouse)
    due = time.monotonic()
    while not stop.wait(max(due - time.monotonic(), 0)):
        # What takes longer than the interval is no reason to catch up.
        due = max(due, time.monotonic()) + INTERVAL.total_seconds()
        newest.samples = measure(settings, session)
        try:
            with session.client() as client:
                table.write(client, settings.clickhouse.database, newest.samples, datetime.now(UTC))
        except (ClickHouseError, OSError) as error:
            logger.warning("what was measured is not written", reason=str(error).splitlines()[0])


def status(settings: Settings) -> None:
    """Print what is wrong, a line each. Raises ClickHouseError if ClickHouse refuses the question."""
    try:
        with connect(settings.clickhouse, INTERVAL.total_seconds()) as client:
            found = table.findings(client, settings.clickhouse.database)
    except OperationalError:
        found = [f"ClickHouse does not answer at {settings.clickhouse.host}:{settings.clickhouse.port}"]
    sys.stdout.writelines(f"{finding}\n" for finding in found)


def main() -> None:
    """Monitor until SIGTERM or SIGINT; what is wrong at the start is one line and exit code 1."""
    parser = argparse.ArgumentParser(prog="python -m baggage.monitor", description=__doc__)
    parser.add_argument("what", nargs="?", choices=("measure", "status"), default="measure")
    what = parser.parse_args().what
    settings = read_settings()
    log.configure(settings.log_level)
    try:
        if what == "status":
            status(settings)
            return
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        monitor(settings, stop)
    except (ClickHouseError, OSError) as error:
        sys.exit(f"error: {str(error).splitlines()[0]}")


if __name__ == "__main__":
    main()
