"""`python -m baggage.generator`: publish the mock airport day; with `plan`, print the figures of one day instead."""

from __future__ import annotations

import argparse
import signal
import sys
from datetime import UTC, date, datetime

from baggage import log
from baggage.generator.day import Day
from baggage.generator.journeys import EVENT_TYPES
from baggage.generator.plan import NO_FLIGHT
from baggage.generator.publisher import Publisher, PublishError
from baggage.settings import read_settings


def figures(day: Day) -> dict[str, int | str]:
    """What a day amounts to."""
    plan, journeys, observed = day.plan, day.journeys, day.observed
    return {
        "day": plan.day.isoformat(),
        "departures": int(plan.passengers.size),
        "onward flights": len(plan.flights) - int(plan.passengers.size),
        "passengers": int(plan.passengers.sum()),
        "itineraries": int(plan.itinerary[-1]) + 1,
        "itineraries with a connection": int(plan.connections.size),
        "bags": int(plan.first.size),
        "bags with a connection": int((plan.second != NO_FLIGHT).sum()),
        "bags loaded after the cutoff": int(journeys.late.size),
        "bags that miss their connection": int(journeys.missed.size),
        "bags with a screening alarm": int(journeys.alarmed.size),
        "events": int(observed.scans.bag.size),
        "events held back": int(observed.delayed.sum()),
        "events that come twice": int((~(observed.repeat != observed.repeat)).sum()),
        "scans that never come": int(observed.missing.bag.size),
        "kinds of events": len(EVENT_TYPES),
    }


def main() -> None:
    """Publish until SIGTERM or SIGINT, or print a plan."""
    parser = argparse.ArgumentParser(prog="python -m baggage.generator", description=__doc__)
    parser.add_argument("what", nargs="?", choices=("publish", "plan"), default="publish")
    parser.add_argument("--day", type=date.fromisoformat, help="of the plan; default: today (UTC)")
    arguments = parser.parse_args()
    settings = read_settings()
    if arguments.what == "plan":
        day = Day(settings.generator, arguments.day or datetime.now(UTC).date())
        for name, figure in figures(day).items():
            sys.stdout.write(f"{name:<34}{figure:>12}\n")
        return
    log.configure(settings.log_level)
    publisher = Publisher(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: publisher.stop())
    try:
        publisher.run()
    except PublishError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
