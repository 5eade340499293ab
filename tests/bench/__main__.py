"""`python -m tests.bench [SECTION …]`: the benchmarks behind `make bench`, on real Kafka, Flink and ClickHouse."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from rich.console import Console

from baggage import log
from baggage.local.jars import JarError
from baggage.local.processes import ProcessError
from baggage.local.runtime import RuntimeStartError, state_lock
from baggage.settings import Settings
from tests.bench import peers
from tests.bench.report import Report

SECTIONS = ("peers",)
STATE = Path(".local/bench")


def main() -> None:
    """Run the sections that the arguments name, or all; what goes wrong is one line and exit code 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("sections", nargs="*", help=f"of {', '.join(SECTIONS)}; default: all")
    parser.add_argument("--events", type=int, default=1_000_000, help="of peers; default: %(default)s")
    parser.add_argument("--bags", default="23000,500000", help="of peers, about; default: %(default)s")
    parser.add_argument("--alternatives", default="", help="of peers, by name; default: all")
    parser.add_argument("--results", type=Path, default=STATE / "results.json", help="default: %(default)s")
    arguments = parser.parse_args()
    unknown = set(arguments.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"no section {', '.join(sorted(unknown))}: choose from {', '.join(SECTIONS)}")
    settings = Settings()
    if "state_dir" not in settings.local.model_fields_set:
        settings.local.state_dir = STATE / "state"
    log.configure("WARNING")
    console = Console(width=None if sys.stdout.isatty() else 160)
    report = Report(console, arguments.results)
    report.head()
    try:
        with state_lock(settings.local.state_dir.resolve()):
            for section in arguments.sections or SECTIONS:
                _run(section, settings, report, console, arguments)
    except (RuntimeStartError, ProcessError, JarError, TimeoutError) as error:
        sys.exit(f"error: {error}")


def _run(section: str, settings: Settings, report: Report, console: Console, arguments: argparse.Namespace) -> None:
    directory = settings.local.state_dir.resolve()
    for path in directory.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
    if section == "peers":
        bags = tuple(map(int, arguments.bags.split(",")))
        names = [name for name in arguments.alternatives.split(",") if name]
        peers.measure(settings, report, console, arguments.events, bags, names)


if __name__ == "__main__":
    main()
