"""Design, "Flights": every tick of an active flight has one row, with what was known at it, whatever happens."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from baggage.domain.alerts import parse_alert
from baggage.domain.flights import Conditions, Flight, FlightOutput, FlightReport
from baggage.domain.kpis import ACTIVE_BEFORE_DEPARTURE, KPI_INTERVAL, FlightKpi, StageCounts, is_active
from baggage.domain.records import MAX_COUNT
from baggage.domain.schedule import FlightNews, FlightStatus
from tests.builders import DEPARTURE, INBOUND, flight
from tests.properties import strategies


def conditions(
    now: datetime, *, backlog_is_read: bool = True, catch_up: timedelta = timedelta(minutes=2)
) -> Conditions:
    return Conditions(now=now, freshness_sec=MAX_COUNT, backlog_is_read=backlog_is_read, catch_up=catch_up)


reports = st.builds(
    FlightReport,
    counts=st.one_of(strategies.stage_counts, st.just(StageCounts())),
    news=st.none() | strategies.flight_news,
)
looks = st.builds(
    conditions,
    strategies.times,
    backlog_is_read=st.booleans(),
    catch_up=st.sampled_from([timedelta(), timedelta(minutes=2), timedelta(hours=2)]),
)


@given(strategies.flight_ids, st.lists(st.tuples(looks, st.none() | reports), min_size=1, max_size=8), st.booleans())
def test_whatever_comes_in_whatever_order_a_flight_never_fails(
    flight_id: str, steps: list[tuple[Conditions, FlightReport | None]], in_order: bool
) -> None:
    made = Flight(flight_id)
    for when, report in sorted(steps, key=lambda step: step[0].now) if in_order else steps:
        if report:
            report = msgspec.json.decode(msgspec.json.encode(report), type=FlightReport)
        output = made.apply(report, when) if report else made.evaluate(when)
        for kpi in output.kpis:
            assert msgspec.json.decode(kpi.to_json(), type=FlightKpi).ts == kpi.ts
        for alert in (*output.alerts, *output.withheld):
            assert parse_alert(alert.key().encode(), alert.to_json()) == alert
        if output.unscheduled:
            output.unscheduled.to_json()
        assert not (output.alerts and output.withheld)
        assert output.wake_up is None or output.wake_up > when.now, "it would wake up for ever"
        assert output.wake_up or made.is_expired(when.now) or not made.updated_at
        made = msgspec.msgpack.decode(msgspec.msgpack.encode(made), type=Flight)


@dataclass(frozen=True)
class Step:
    """A report that comes some time after the one before."""

    after: timedelta
    report: FlightReport


def step(seconds: int, loaded: int, minutes: int | None, status: FlightStatus, has_news: bool) -> Step:
    schedule = None if minutes is None else flight(dep=DEPARTURE + timedelta(minutes=minutes), status=status)
    news = FlightNews(0, schedule) if has_news else None
    return Step(timedelta(seconds=seconds), FlightReport(counts=StageCounts(loaded=loaded, bags=loaded), news=news))


steps = st.builds(
    step,
    seconds=st.one_of(st.integers(0, 40), st.just(700)),
    loaded=st.integers(0, 3),
    minutes=st.sampled_from([None, -720, -1, 0, 0, 1, 2, 5, 360, 1440]),
    status=st.sampled_from([FlightStatus.SCHEDULED, FlightStatus.SCHEDULED, FlightStatus.CANCELLED]),
    has_news=st.sampled_from([True, True, True, False]),
)


@given(st.lists(steps, min_size=1, max_size=6), st.sampled_from([-360, -5, -1, 0]))
def test_every_tick_of_an_active_flight_has_one_row_with_what_was_known_at_it(some: list[Step], start: int) -> None:
    made, output = Flight(INBOUND), FlightOutput()
    # Never at a tick, so that what is known at it is what came before it.
    now = DEPARTURE + timedelta(minutes=start, microseconds=1)
    rows: list[FlightKpi] = []
    expected: dict[datetime, StageCounts] = {}
    for one in [*some, Step(timedelta(minutes=3), some[-1].report)]:
        until = now + one.after
        while output.wake_up and output.wake_up <= until:
            output = made.evaluate(conditions(output.wake_up))
            rows += output.kpis
        schedule = made.news.schedule if made.news and not made.news.is_cancelled else None
        tick = now.replace(microsecond=0) if made.updated_at else until
        while tick <= until:
            if schedule and tick > now and tick.second % 10 == 0 and is_active(schedule, tick):
                expected[tick] = made.counts
            tick += timedelta(seconds=1)
        now = until
        output = made.apply(one.report, conditions(now))
        rows += output.kpis
    assert all(one.ts < other.ts for one, other in pairwise(rows)), "no row comes twice or late"
    active = {row.ts: row.loaded for row in rows if row.ts < row.dep_time}
    assert active == {tick: counts.loaded for tick, counts in expected.items()}
    for row in rows:
        assert row.ts >= row.dep_time - ACTIVE_BEFORE_DEPARTURE
        assert row.ts.timestamp() % KPI_INTERVAL.total_seconds() == 0
