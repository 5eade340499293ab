"""What a generated day has none of: bags taken off or left behind, cancelled flights, itineraries without bags, flights
without a schedule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from baggage.domain.alerts import evaluate
from baggage.domain.flights import UnscheduledFlight
from baggage.domain.journey import JourneyState
from baggage.domain.kpis import StageCounts, flight_kpi, tick_at_or_after
from baggage.domain.schedule import Assignment, FlightSchedule
from baggage.domain.stages import EventType, Stage
from baggage.generator.day import Publication
from baggage.provision.topics import ASSIGNMENT, EVENTS, SCHEDULE
from tests.builders import HOUR, INBOUND, LEGS, MINUTE, ONWARD, SECOND, assignment, event, flight
from tests.dashboards.engine import Tables
from tests.dashboards.grafana import ALL, Variables, dashboards, interpolate, other_queries, panel_query
from tests.dashboards.simulation import Simulation

#: Of today, and fixed while the tests run: the tables forget by the wall clock.
NOW = tick_at_or_after(datetime.now(UTC))
BAG, ITINERARY = assignment().bag_id, assignment().itinerary_id
VALUES: Variables = {
    "flight": [INBOUND],
    "bag": [BAG],
    "itinerary": [ITINERARY],
    "airport": ALL,
    "hours": "6",
    "state": [JourneyState.AT_RISK_FOR_CONNECTION, JourneyState.EXCEPTION, JourneyState.DELAYED_OR_REROUTED],
}
DIRECT = LEGS[:1]
Row = dict[str, Any]


class Airport:
    """One bag, its flights, and what the jobs write of them."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._simulation = Simulation(NOW - 5 * HOUR, tables.write)

    def publish_schedule(self, ago: timedelta, flight_id: str, record: FlightSchedule | None) -> None:
        """Announce a flight, or cancel it."""
        self._simulation.apply(Publication(NOW - ago, SCHEDULE, flight_id, record))

    def publish_assignment(self, ago: timedelta, record: Assignment | None) -> None:
        """Assign the bag, or take it out."""
        self._simulation.apply(Publication(NOW - ago, ASSIGNMENT, BAG, record))

    def scan(self, ago: timedelta, kind: EventType, airport: str = "LHR", flight_id: str = INBOUND) -> None:
        """Scan the bag on its first leg."""
        record = event(kind, at=NOW - ago, airport=airport, flight_id=flight_id)
        self._simulation.apply(Publication(NOW - ago, EVENTS, BAG, record))

    def advance(self, ago: timedelta = -SECOND) -> None:
        """Let the time come to NOW, and the rows to the tables."""
        self._simulation.advance(NOW - ago)
        self._tables.flush()

    def panel(self, name: str, title: str, now: datetime = NOW, hours: int = 6) -> list[Row]:
        """What a panel shows."""
        return self._ask(panel_query(name, title).sql, now, hours)

    def options(self, variable: str) -> list[str]:
        """The options of a variable."""
        (sql,) = {
            query.sql
            for name, dashboard in dashboards().items()
            for query in other_queries(name, dashboard)
            if query.where.endswith(f": variable {variable}")
        }
        return [next(iter(row.values())) for row in self._ask(sql, NOW, 6)]

    def _ask(self, sql: str, now: datetime, hours: int) -> list[Row]:
        answer = self._tables.ask(interpolate(sql, now - hours * HOUR, now, VALUES))
        return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]


@pytest.fixture
def airport(tables: Tables) -> Airport:
    """Nothing has happened yet."""
    return Airport(tables)


class TestABagThatIsTakenOff:
    """It is loaded, and taken off again."""

    def test_it_is_missing_again(self, airport: Airport) -> None:
        self.take_off(airport, departs_in=HOUR)
        (missing,) = airport.panel("flight-drilldown", "Missing bags")
        assert (missing["bag_id"], missing["stage"], missing["last_seen"]) == (BAG, "MAKEUP", 300)
        (summary,) = airport.panel("flight-drilldown", "$flight")
        assert (summary["loaded"], summary["missing"]) == (0, 1)
        (bag,) = airport.panel("bag-journey", "$bag")
        assert bag["stage"] == "MAKEUP"

    def test_the_charts_go_back(self, airport: Airport) -> None:
        self.take_off(airport, departs_in=HOUR)
        progress = [row["loaded"] for row in airport.panel("flight-drilldown", "Progress by stage")]
        assert (max(progress), progress[-1]) == (1, 0)
        loaded = [row["loaded"] for row in airport.panel("flight-ops-overview", "Loaded")]
        assert (max(loaded), loaded[-1]) == (100, 0)
        for name, title in (("bag-journey", "Stages"), ("itinerary-view", "Stages of its bags")):
            stages = [row["stage"] for row in airport.panel(name, title)]
            assert stages == [Stage[stage] + 1 for stage in ("MAKEUP", "LOADED", "MAKEUP")]

    def test_every_change_is_in_its_order(self, airport: Airport) -> None:
        self.take_off(airport, departs_in=HOUR)
        changes = airport.panel("bag-journey", "Every change")
        assert [(row["stage"], row["gap"]) for row in changes] == [("MAKEUP", 300), ("LOADED", 600), ("MAKEUP", None)]

    def test_its_flight_departs_without_it(self, airport: Airport) -> None:
        self.take_off(airport, departs_in=-MINUTE)
        (departure,) = airport.panel("service-quality", "Departed without all their bags")
        # The flight had closed when the bag was taken off.
        assert (departure["left_behind"], departure["loaded_by_cutoff"]) == (1, 100)
        (load,) = airport.panel("service-quality", "Loaded by cutoff, by hour of departure")
        assert (load["loaded_by_cutoff"], load["loaded_at_departure"]) == (100, 0)
        (causes,) = airport.panel("service-quality", "Mishandled per 1,000 bags")
        assert (causes["not_loaded"], causes["total"]) == (1000, 1000)

    @staticmethod
    def take_off(airport: Airport, departs_in: timedelta) -> None:
        """Make up, load and take off."""
        schedule = flight(dep=NOW + departs_in, cutoff_before=6 * MINUTE, expected=1)
        airport.publish_schedule(3 * HOUR, INBOUND, schedule)
        airport.publish_assignment(3 * HOUR, assignment(DIRECT, bags=1))
        airport.scan(20 * MINUTE, EventType.MAKEUP_ARRIVED)
        airport.scan(10 * MINUTE, EventType.LOADED_ON_AIRCRAFT)
        airport.scan(5 * MINUTE, EventType.OFFLOADED)
        airport.advance()


class TestACancelledFlight:
    """It writes no more rows, although it has not departed."""

    @pytest.mark.parametrize(("ago", "is_shown"), [(110, True), (120, False), (3600, False)])
    def test_it_leaves_the_lists_within_two_minutes(self, airport: Airport, ago: int, is_shown: bool) -> None:
        self.cancel(airport, ago * SECOND)
        flights = [row["flight_id"] for row in airport.panel("flight-ops-overview", "Flights")]
        assert flights == [ONWARD, INBOUND][: 1 + is_shown]
        (now,) = airport.panel("flight-ops-overview", "Now")
        assert now["flights_open"] == 1 + is_shown
        (funnel,) = airport.panel("flight-ops-overview", "Bags of these flights, by stage reached")
        assert funnel["expected"] == (400 if is_shown else 300)

    def test_it_is_the_last_option(self, airport: Airport) -> None:
        self.cancel(airport, HOUR)
        assert airport.options("flight") == [ONWARD, INBOUND]

    def test_its_bags_are_delayed(self, airport: Airport) -> None:
        self.cancel(airport, HOUR)
        (itinerary,) = airport.panel("itinerary-view", "Itineraries in trouble")
        assert (itinerary["itinerary_id"], itinerary["journey_state"]) == (ITINERARY, "DELAYED_OR_REROUTED")

    def test_all_flights_stay_while_nothing_is_written(self, airport: Airport) -> None:
        self.cancel(airport, HOUR)
        flights = airport.panel("flight-ops-overview", "Flights", NOW + 30 * MINUTE)
        assert [row["flight_id"] for row in flights] == [ONWARD]

    def test_it_does_not_depart(self, airport: Airport) -> None:
        self.cancel(airport, 2 * HOUR, departs_in=-HOUR)
        (departure,) = airport.panel("service-quality", "Departed without all their bags")
        assert departure["flight_id"] == ONWARD

    @staticmethod
    def cancel(airport: Airport, ago: timedelta, departs_in: timedelta = HOUR) -> None:
        """Two flights, one of them cancelled, with a bag."""
        for flight_id, expected in ((INBOUND, 100), (ONWARD, 300)):
            schedule = flight(flight_id, NOW + departs_in, expected=expected)
            airport.publish_schedule(3 * HOUR, flight_id, schedule)
        airport.publish_assignment(3 * HOUR, assignment(DIRECT, bags=1))
        airport.publish_schedule(ago, INBOUND, None)
        airport.advance()


def test_a_flight_that_was_moved_departs_once(airport: Airport) -> None:
    for ago, departs_in in ((4 * HOUR, -2 * HOUR), (3 * HOUR, -HOUR)):
        airport.publish_schedule(ago, INBOUND, flight(dep=NOW + departs_in))
    airport.advance()
    (departure,) = airport.panel("service-quality", "Departed without all their bags")
    assert departure["departure"].replace(tzinfo=UTC) == NOW - HOUR
    assert airport.panel("service-quality", "Departed without all their bags", NOW - 90 * MINUTE) == []


class TestABagOfADirectFlight:
    """Ten minutes after the departure it is left behind; it may also be sent elsewhere."""

    def test_left_behind_counts_as_not_loaded(self, airport: Airport) -> None:
        self.depart(airport)
        assert self.causes(airport) == {"not_loaded": 1000, "total": 1000}

    def test_loaded_on_another_flight_counts_as_rerouted(self, airport: Airport) -> None:
        self.depart(airport, loaded_on="BR027|2026-01-04|LHR->AMS")
        assert self.causes(airport) == {"rerouted": 1000, "total": 1000}

    def test_loaded_counts_as_nothing(self, airport: Airport) -> None:
        self.depart(airport, loaded_on=INBOUND)
        assert self.causes(airport) == {}

    @staticmethod
    def depart(airport: Airport, loaded_on: str = "") -> None:
        """Depart eleven minutes ago."""
        schedule = flight(dep=NOW - 11 * MINUTE, expected=1)
        airport.publish_schedule(3 * HOUR, INBOUND, schedule)
        airport.publish_assignment(3 * HOUR, assignment(DIRECT, bags=1))
        airport.scan(2 * HOUR, EventType.CHECKED_IN)
        if loaded_on:
            airport.scan(HOUR, EventType.LOADED_ON_AIRCRAFT, flight_id=loaded_on)
        airport.advance()

    @staticmethod
    def causes(airport: Airport) -> Row:
        """The causes that there are, in bags of 1,000."""
        (causes,) = airport.panel("service-quality", "Mishandled per 1,000 bags")
        assert causes.pop("bags") == 1
        (delayed,) = airport.panel("itinerary-view", "Now")
        assert delayed["delayed"] == bool(causes["total"])
        return {cause: number for cause, number in causes.items() if number}


class TestAnItineraryThatAllBagsHaveLeft:
    """It keeps its last state, a bad one, and is nobody's trouble."""

    @pytest.fixture(autouse=True)
    def _empty(self, airport: Airport) -> None:
        airport.publish_schedule(3 * HOUR, INBOUND, flight(dep=NOW + HOUR, expected=1))
        airport.publish_assignment(3 * HOUR, assignment(DIRECT, bags=1))
        airport.scan(2 * HOUR, EventType.SCREENED_ALARM)
        airport.advance(HOUR)
        assert airport.options("itinerary") == [ITINERARY]
        airport.publish_assignment(HOUR, None)
        airport.advance()

    def test_it_keeps_its_state(self, airport: Airport) -> None:
        history = airport.panel("itinerary-view", "States and notifications")
        assert history[0]["journey_state"] == "EXCEPTION"
        assert airport.panel("itinerary-view", "Bags of $itinerary") == []

    def test_it_is_not_in_trouble(self, airport: Airport) -> None:
        assert airport.panel("itinerary-view", "Itineraries in trouble") == []
        (counts,) = airport.panel("itinerary-view", "Now")
        assert set(counts.values()) == {0}
        assert airport.options("itinerary") == airport.options("bag") == []
        assert airport.panel("flight-drilldown", "Missing bags") == []


class TestFlightsWithoutASchedule:
    """A wrong flight number, which Pipeline Health shows."""

    def test_their_newest_row_counts(self, airport: Airport, tables: Tables) -> None:
        seed(
            tables,
            *[(INBOUND, 2, 30 * MINUTE), (INBOUND, 5, 20 * MINUTE), (ONWARD, 7, 10 * MINUTE)],
            (INBOUND, 5, 20 * MINUTE),
        )
        shown = [
            (row["flight_id"], row["bags"], row["events"], NOW - row["ts"].replace(tzinfo=UTC))
            for row in self.shown(airport)
        ]
        assert shown == [(ONWARD, 1, 7, 10 * MINUTE), (INBOUND, 1, 5, 20 * MINUTE)]
        current = tables.ask("SELECT flight_id, bags, events FROM unscheduled_flight_current ORDER BY events DESC").rows
        assert current == [row[:3] for row in shown]

    def test_one_whose_schedule_has_come_is_gone(self, airport: Airport, tables: Tables) -> None:
        seed(
            tables,
            (INBOUND, 5, 20 * MINUTE),
            (INBOUND, 0, 10 * MINUTE),
            (ONWARD, 7, 10 * MINUTE),
            (ONWARD, 0, 10 * MINUTE),
        )
        assert self.shown(airport) == []
        (before,) = self.shown(airport, NOW - 15 * MINUTE)
        assert (before["flight_id"], before["events"]) == (INBOUND, 5)

    @pytest.mark.parametrize(("ago", "is_shown"), [(48 * HOUR - SECOND, True), (48 * HOUR, False)])
    def test_those_of_two_days_are_shown(
        self, airport: Airport, tables: Tables, ago: timedelta, is_shown: bool
    ) -> None:
        seed(tables, (INBOUND, 5, ago))
        assert bool(self.shown(airport)) is is_shown

    @staticmethod
    def shown(airport: Airport, now: datetime = NOW) -> list[Row]:
        """What the panel shows."""
        return airport.panel("pipeline-health", "Flights without a schedule", now)


def seed(tables: Tables, *rows: tuple[str, int, timedelta]) -> None:
    """Write rows of flights without a schedule: flight, events, and how long ago."""
    for flight_id, events, ago in rows:
        record = UnscheduledFlight(ts=NOW - ago, flight_id=flight_id, bags=1, events=events)
        tables.write("unscheduled_flights", record)
    tables.flush()


def test_withheld_alerts_of_the_time_range_are_counted_once(airport: Airport, tables: Tables) -> None:
    closed = flight(dep=NOW, cutoff_before=HOUR, expected=10)
    for ago in (2 * HOUR, 50 * MINUTE, 30 * MINUTE, 30 * MINUTE):
        for alert in evaluate(flight_kpi(closed, StageCounts(), 0, NOW - ago)):
            tables.write("withheld_alerts", alert)
    tables.flush()
    (health,) = airport.panel("pipeline-health", "Now", hours=1)
    # At each of two times both rules held.
    assert health["withheld"] == 4
    assert airport.panel("pipeline-health", "Now", NOW - 40 * MINUTE, hours=1)[0]["withheld"] == 2
