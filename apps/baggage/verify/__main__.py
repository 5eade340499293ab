"""`python -m baggage.verify`: compare ClickHouse with the topics; exit code 1 if anything differs."""

from __future__ import annotations

import argparse
import sys

from clickhouse_connect.driver.exceptions import ClickHouseError
from confluent_kafka import KafkaException

from baggage.settings import read_settings
from baggage.verify.verification import PATIENCE, Report, verify


def show(report: Report) -> None:
    """Print the report."""
    for table, rows in report.compared.items():
        differ = sum(difference.table == table for difference in report.differences)
        sys.stdout.write(f"{table:<24}{rows:>10,} rows compared{differ:>8,} differ\n")
    for difference in report.differences:
        sys.stdout.write(f"  {difference}\n")
    sys.stdout.write(f"KPI ticks that were missed: {report.missed_ticks}\n")
    for score in report.scores:
        sys.stdout.write(f"{score}\n")
    sys.stdout.write(
        f"{report.events:,} events, {report.rows:,} rows, {report.rejected:,} records rejected, "
        f"{len(report.differences)} differences, {report.seconds:.0f} s\n"
    )


def _progress(what: str) -> None:
    sys.stderr.write(f"{what}\n")


def main() -> None:
    """Verify and report."""
    parser = argparse.ArgumentParser(prog="python -m baggage.verify", description=__doc__)
    what = "seconds without fewer differences; default: %(default)s"
    parser.add_argument("--patience", type=float, default=PATIENCE, help=what)
    arguments = parser.parse_args()
    settings = read_settings()
    try:
        report = verify(settings, arguments.patience, _progress)
    except (KafkaException, ClickHouseError, TimeoutError) as error:
        sys.exit(f"error: cannot read the pipeline: {error}; does it run? (make run)")
    show(report)
    sys.exit(1 if report.differences else 0)


if __name__ == "__main__":
    main()
