"""Specification section 6.2 and design, "Flights", "Alerts" and "Schedules change": one report after the other."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import pairwise

import msgspec
import pytest

from baggage.domain.alerts import Alert, Rule
from baggage.domain.flights import Conditions, Flight, FlightOutput, FlightReport, UnscheduledFlight
from baggage.domain.kpis import StageCounts
from baggage.domain.schedule import RETENTION, FlightNews
from baggage.domain.stages import Stage
from tests.builders import (
    CANCELLED_INBOUND,
    DEPARTURE,
    HOUR,
    INBOUND,
    INBOUND_FLIGHT,
    MINUTE,
    SECOND,
    flight,
    flight_news,
)

TICK = 10 * SECOND
EARLY = DEPARTURE - 3 * HOUR
CUTOFF = INBOUND_FLIGHT.bag_cutoff_time
LOADED = StageCounts.of([Stage.LOADED])
NONE = StageCounts()
TOMBSTONE = FlightNews(1, None)


def at(now: datetime, *, backlog_is_read: bool = True, freshness_sec: int = 2) -> Conditions:
    return Conditions(
        now=now, freshness_sec=freshness_sec, backlog_is_read=backlog_is_read, catch_up=timedelta(minutes=2)
    )


def report(counts: StageCounts = LOADED, news: FlightNews | None = flight_news()) -> FlightReport:  # noqa: B008
    return FlightReport(counts=counts, news=news)


def ticks(output: FlightOutput) -> list[datetime]:
    return [row.ts for row in output.kpis]


def started(now: datetime = EARLY, first: FlightReport | None = None) -> Flight:
    """A flight with its first report, and with its row of `now`."""
    made = Flight(INBOUND)
    made.apply(first or report(), at(now))
    return made


def woken(made: Flight, until: datetime, output: FlightOutput) -> Iterable[FlightOutput]:
    """What a flight emits that is woken up whenever it wants to."""
    while output.wake_up and output.wake_up <= until:
        now = output.wake_up
        output = made.evaluate(at(now))
        assert output.wake_up is None or output.wake_up > now, "it would wake up for ever"
        yield output


def rules(alerts: Iterable[Alert]) -> list[Rule]:
    return [alert.rule_id for alert in alerts]


# Rows


def test_a_scheduled_flight_without_any_bag_gets_rows() -> None:
    output = Flight(INBOUND).apply(report(NONE), at(EARLY))
    assert ticks(output) == [EARLY]
    (row,) = output.kpis
    assert (row.flight_id, row.loaded, row.missing, row.freshness_sec) == (INBOUND, 0, 220, 2)
    assert output.wake_up == EARLY + TICK


def test_a_row_comes_at_every_tick_from_six_hours_before_departure_until_it_departs_and_one_after() -> None:
    made = Flight(INBOUND)
    first = made.apply(report(), at(DEPARTURE - 7 * HOUR))
    assert first.kpis == []
    assert first.wake_up == DEPARTURE - 6 * HOUR
    outputs = list(woken(made, DEPARTURE + HOUR, first))
    times = [time for output in outputs for time in ticks(output)]
    assert times == [DEPARTURE - 6 * HOUR + n * TICK for n in range(6 * 360 + 1)]
    assert outputs[-1].wake_up == INBOUND_FLIGHT.arr_time + RETENTION


def test_a_departure_between_two_ticks_has_its_last_row_at_the_second() -> None:
    made = Flight(INBOUND)
    dep = DEPARTURE + 5 * SECOND
    first = made.apply(report(LOADED, flight_news(flight(dep=dep))), at(DEPARTURE - TICK))
    times = [time for output in woken(made, DEPARTURE + HOUR, first) for time in ticks(output)]
    assert times == [DEPARTURE, DEPARTURE + TICK]


def test_the_first_row_is_never_in_the_past() -> None:
    output = Flight(INBOUND).apply(report(), at(EARLY + SECOND))
    assert output.kpis == []
    assert output.wake_up == EARLY + TICK


def test_a_row_says_what_was_known_at_its_tick() -> None:
    made = started(first=report(NONE))
    output = made.apply(report(LOADED), at(EARLY + 15 * SECOND))
    assert [(row.ts, row.loaded) for row in output.kpis] == [(EARLY + TICK, 0)]
    output = made.evaluate(at(EARLY + 2 * TICK))
    assert [(row.ts, row.loaded) for row in output.kpis] == [(EARLY + 2 * TICK, 1)]


def test_no_row_comes_twice_however_often_it_is_looked_at() -> None:
    made = started()
    for now in (EARLY, EARLY + SECOND, EARLY + 9 * SECOND):
        assert made.evaluate(at(now)).kpis == []
        assert made.apply(report(), at(now)).kpis == []


def test_ticks_of_a_short_outage_are_made_up_for() -> None:
    output = started().evaluate(at(EARLY + MINUTE + SECOND))
    assert ticks(output) == [EARLY + n * TICK for n in range(1, 7)]


def test_ticks_of_a_long_outage_are_not_made_up_for() -> None:
    output = started().evaluate(at(EARLY + HOUR))
    assert ticks(output) == [EARLY + HOUR - 2 * MINUTE + n * TICK for n in range(13)]


def test_the_last_row_is_made_up_for_after_an_outage_over_the_departure() -> None:
    made = started(DEPARTURE - HOUR)
    assert ticks(made.evaluate(at(DEPARTURE + HOUR))) == [DEPARTURE + 58 * MINUTE]
    assert made.evaluate(at(DEPARTURE + HOUR + TICK)).kpis == []


# After departure


def test_a_late_scan_after_departure_makes_another_last_row() -> None:
    made = started(DEPARTURE - TICK)
    assert ticks(made.evaluate(at(DEPARTURE))) == [DEPARTURE]
    late = StageCounts.of([Stage.LOADED] * 2)
    output = made.apply(report(late), at(DEPARTURE + 3 * MINUTE + SECOND))
    assert output.kpis == []
    assert output.wake_up == DEPARTURE + 3 * MINUTE + TICK
    output = made.evaluate(at(output.wake_up))
    assert [(row.ts, row.loaded) for row in output.kpis] == [(DEPARTURE + 3 * MINUTE + TICK, 2)]
    assert output.wake_up == INBOUND_FLIGHT.arr_time + RETENTION


def test_several_late_scans_within_a_tick_make_one_row() -> None:
    made = started(DEPARTURE - TICK)
    made.evaluate(at(DEPARTURE))
    rows = []
    for n in range(2, 5):
        rows += made.apply(report(StageCounts.of([Stage.LOADED] * n)), at(DEPARTURE + MINUTE + n * SECOND)).kpis
    rows += made.evaluate(at(DEPARTURE + MINUTE + TICK)).kpis
    assert [(row.ts, row.loaded) for row in rows] == [(DEPARTURE + MINUTE + TICK, 4)]


def test_a_report_that_says_nothing_new_makes_no_row_after_departure() -> None:
    made = started(DEPARTURE - TICK)
    made.evaluate(at(DEPARTURE))
    output = made.apply(report(), at(DEPARTURE + MINUTE))
    assert (output.kpis, output.wake_up) == ([], INBOUND_FLIGHT.arr_time + RETENTION)


def test_a_flight_that_is_first_heard_of_after_its_departure_has_a_row_only_if_it_has_bags() -> None:
    output = Flight(INBOUND).apply(report(NONE), at(DEPARTURE + HOUR))
    assert (output.kpis, output.wake_up) == ([], INBOUND_FLIGHT.arr_time + RETENTION)
    made = Flight(INBOUND)
    output = made.apply(report(), at(DEPARTURE + HOUR))
    assert output.wake_up == DEPARTURE + HOUR + TICK
    assert ticks(made.evaluate(at(output.wake_up))) == [DEPARTURE + HOUR + TICK]


def test_no_alert_is_raised_after_departure() -> None:
    made = started(DEPARTURE - TICK)
    assert made.evaluate(at(DEPARTURE)).alerts == []
    assert made.apply(report(StageCounts.of([Stage.LOADED] * 2)), at(DEPARTURE + MINUTE)).alerts == []
    assert made.evaluate(at(DEPARTURE + 2 * MINUTE)).alerts == []


# Alerts


def test_alerts_are_those_of_the_rows() -> None:
    made = started(CUTOFF - 20 * MINUTE)
    assert made.news == flight_news()
    output = made.evaluate(at(CUTOFF - 20 * MINUTE + TICK))
    assert (rules(output.alerts), output.withheld) == ([Rule.LOW_LOAD_RATE], [])
    assert output.alerts[0].now == CUTOFF - 20 * MINUTE + TICK
    made = started(CUTOFF)
    assert rules(made.evaluate(at(CUTOFF + TICK)).alerts) == [Rule.LOW_LOAD_RATE, Rule.MISSED_CUTOFF]


def test_alerts_of_ticks_that_are_made_up_for_are_raised() -> None:
    alerts = started(CUTOFF).evaluate(at(CUTOFF + 30 * SECOND)).alerts
    assert len(alerts) == 6
    assert len({alert.alert_id for alert in alerts}) == 2, "one a rule and a minute"


def test_alerts_are_withheld_while_the_backlog_is_not_read() -> None:
    made = started(CUTOFF)
    output = made.evaluate(at(CUTOFF + TICK, backlog_is_read=False))
    assert ticks(output) == [CUTOFF + TICK], "rows are not"
    assert (output.alerts, rules(output.withheld)) == ([], [Rule.LOW_LOAD_RATE, Rule.MISSED_CUTOFF])
    output = made.evaluate(at(CUTOFF + 2 * TICK))
    assert (rules(output.alerts), output.withheld) == ([Rule.LOW_LOAD_RATE, Rule.MISSED_CUTOFF], [])


def test_a_report_emits_the_alerts_of_what_was_due_before_it() -> None:
    made = started(CUTOFF)
    enough = StageCounts.of([Stage.LOADED] * 220)
    output = made.apply(report(enough), at(CUTOFF + 15 * SECOND))
    assert rules(output.alerts) == [Rule.LOW_LOAD_RATE, Rule.MISSED_CUTOFF]
    assert made.evaluate(at(CUTOFF + 2 * TICK)).alerts == []


# Schedules change


def moved(dep: datetime, offset: int = 1) -> FlightReport:
    return report(news=flight_news(flight(dep=dep), offset))


def test_a_later_departure_is_followed_without_a_gap() -> None:
    made = started(DEPARTURE - TICK)
    output = made.apply(moved(DEPARTURE + HOUR), at(DEPARTURE - SECOND))
    assert output.wake_up == DEPARTURE
    output = made.evaluate(at(DEPARTURE))
    assert [(row.ts, row.dep_time) for row in output.kpis] == [(DEPARTURE, DEPARTURE + HOUR)]
    assert output.wake_up == DEPARTURE + TICK


def test_an_earlier_departure_ends_the_rows_with_one_that_says_so() -> None:
    made = started(DEPARTURE - HOUR)
    now = DEPARTURE - 30 * MINUTE + SECOND
    output = made.apply(moved(DEPARTURE - 2 * HOUR), at(now))
    rows = [*output.kpis, *made.evaluate(at(now + TICK)).kpis]
    times = [row.ts for row in rows]
    assert times == sorted(set(times)), "none comes twice, and none is older than the one before"
    assert (rows[-1].ts, rows[-1].dep_time) == (DEPARTURE - 30 * MINUTE + TICK, DEPARTURE - 2 * HOUR)


def test_a_departure_that_is_moved_days_away_and_back_is_watched_again() -> None:
    made = started(DEPARTURE - 5 * HOUR)
    output = made.apply(moved(DEPARTURE + 48 * HOUR, 1), at(DEPARTURE - 4 * HOUR))
    assert output.wake_up == DEPARTURE + 42 * HOUR
    output = made.apply(moved(DEPARTURE, 2), at(DEPARTURE - 3 * HOUR))
    assert output.kpis == [], "what it was not active for is not made up for"
    assert output.wake_up == DEPARTURE - 3 * HOUR + TICK
    assert ticks(made.evaluate(at(output.wake_up))) == [DEPARTURE - 3 * HOUR + TICK]


def test_a_departure_that_is_moved_after_it_is_watched_again_and_no_row_comes_twice() -> None:
    made = started(DEPARTURE - TICK)
    rows = made.evaluate(at(DEPARTURE)).kpis
    rows += made.apply(report(StageCounts.of([Stage.LOADED] * 2)), at(DEPARTURE + 61 * SECOND)).kpis
    rows += made.evaluate(at(DEPARTURE + 70 * SECOND)).kpis
    output = made.apply(moved(DEPARTURE + 2 * HOUR), at(DEPARTURE + 75 * SECOND))
    assert output.wake_up == DEPARTURE + 80 * SECOND
    rows += output.kpis + made.evaluate(at(output.wake_up)).kpis
    assert [row.ts - DEPARTURE for row in rows] == [timedelta(), 70 * SECOND, 80 * SECOND]


def test_the_first_row_of_a_flight_that_is_moved_before_it_had_one_is_at_its_new_time() -> None:
    made = Flight(INBOUND)
    made.apply(report(), at(DEPARTURE - 24 * HOUR))
    output = made.apply(moved(DEPARTURE - 18 * HOUR), at(DEPARTURE - 24 * HOUR))
    assert ticks(output) == [DEPARTURE - 24 * HOUR]


@pytest.mark.parametrize("cancelled", [TOMBSTONE, flight_news(CANCELLED_INBOUND, 1)])
def test_a_cancelled_flight_has_no_rows_and_alerts_until_it_is_announced_again(cancelled: FlightNews) -> None:
    made = started(CUTOFF)
    output = made.apply(report(news=cancelled), at(CUTOFF + 15 * SECOND))
    assert ticks(output) == [CUTOFF + TICK], "that was due before"
    for now in (CUTOFF + MINUTE, DEPARTURE, DEPARTURE + MINUTE):
        output = made.evaluate(at(now))
        assert (output.kpis, output.alerts, output.withheld, output.unscheduled) == ([], [], [], None)
    made = started(CUTOFF)
    made.apply(report(news=cancelled), at(CUTOFF + SECOND))
    output = made.apply(report(news=flight_news(offset=2)), at(CUTOFF + MINUTE + SECOND))
    assert output.kpis == [], "what it was cancelled for is not made up for"
    output = made.evaluate(at(CUTOFF + MINUTE + TICK))
    assert [(row.ts, row.loaded) for row in output.kpis] == [(CUTOFF + MINUTE + TICK, 1)], "it has its bags"
    assert rules(output.alerts) == [Rule.LOW_LOAD_RATE, Rule.MISSED_CUTOFF]


def test_bags_of_a_cancelled_flight_are_counted_on() -> None:
    made = started(first=report(NONE, TOMBSTONE))
    made.apply(report(StageCounts.of([Stage.LOADED] * 3), TOMBSTONE), at(EARLY + MINUTE))
    output = made.apply(report(made.counts, flight_news(offset=2)), at(EARLY + 2 * MINUTE))
    assert [row.loaded for row in output.kpis] == [3]


def test_nothing_of_the_time_when_it_was_cancelled_is_due_later() -> None:
    made = started(first=report(LOADED, TOMBSTONE))
    output = made.apply(report(NONE, flight_news(offset=2)), at(DEPARTURE + HOUR))
    assert (output.kpis, output.wake_up) == ([], INBOUND_FLIGHT.arr_time + RETENTION)


# Without a schedule


def test_a_flight_without_a_schedule_is_shown_after_a_minute_and_then_once_a_minute_with_new_counts() -> None:
    made = Flight(INBOUND)
    output = made.apply(report(LOADED, None), at(EARLY))
    assert (output.unscheduled, output.wake_up) == (None, EARLY + MINUTE)
    output = made.evaluate(at(EARLY + MINUTE))
    assert output.unscheduled == UnscheduledFlight(ts=EARLY + MINUTE, flight_id=INBOUND, bags=1, events=1)
    assert (output.kpis, output.alerts, output.wake_up) == ([], [], EARLY + RETENTION)
    output = made.apply(report(StageCounts(bags=1, events=2), None), at(EARLY + MINUTE + SECOND))
    assert (output.unscheduled, output.wake_up) == (None, EARLY + 2 * MINUTE)
    output = made.evaluate(at(EARLY + 2 * MINUTE))
    assert output.unscheduled == UnscheduledFlight(ts=EARLY + 2 * MINUTE, flight_id=INBOUND, bags=1, events=2)
    assert made.evaluate(at(EARLY + 3 * MINUTE)).unscheduled is None


def test_a_flight_whose_schedule_comes_within_a_minute_is_never_shown() -> None:
    made = Flight(INBOUND)
    made.apply(report(LOADED, None), at(EARLY))
    assert made.apply(report(LOADED), at(EARLY + 59 * SECOND)).unscheduled is None
    assert made.evaluate(at(EARLY + 2 * MINUTE)).unscheduled is None


def test_a_flight_without_a_schedule_is_shown_when_the_backlog_is_read() -> None:
    made = Flight(INBOUND)
    output = made.apply(report(LOADED, None), at(EARLY, backlog_is_read=False))
    assert (output.unscheduled, output.wake_up) == (None, EARLY + MINUTE)
    output = made.evaluate(at(EARLY + MINUTE, backlog_is_read=False))
    assert (output.unscheduled, output.wake_up) == (None, EARLY + 2 * MINUTE)
    output = made.evaluate(at(EARLY + 2 * MINUTE))
    assert output.unscheduled == UnscheduledFlight(ts=EARLY + 2 * MINUTE, flight_id=INBOUND, bags=1, events=1)
    assert made.evaluate(at(EARLY + 3 * MINUTE)).unscheduled is None


@pytest.mark.parametrize("news", [flight_news(), TOMBSTONE, flight_news(CANCELLED_INBOUND)])
def test_a_flight_that_was_shown_without_a_schedule_is_shown_to_have_one(news: FlightNews) -> None:
    made = started(first=report(LOADED, None))
    assert made.evaluate(at(EARLY + MINUTE)).unscheduled
    output = made.apply(report(LOADED, news), at(EARLY + 2 * MINUTE))
    assert output.unscheduled == UnscheduledFlight(ts=EARLY + 2 * MINUTE, flight_id=INBOUND, bags=0, events=0)
    assert made.evaluate(at(EARLY + 3 * MINUTE)).unscheduled is None


def test_a_flight_that_was_not_shown_yet_need_not_be_shown_to_have_a_schedule() -> None:
    made = Flight(INBOUND)
    made.apply(report(LOADED, None), at(EARLY, backlog_is_read=False))
    output = made.apply(report(LOADED), at(EARLY + SECOND, backlog_is_read=False))
    assert output.unscheduled is None
    assert output.wake_up == EARLY + TICK
    output = made.evaluate(at(EARLY + TICK))
    assert [(row.ts, row.loaded) for row in output.kpis] == [(EARLY + TICK, 1)]


# Expiry and state


def test_a_flight_expires_48_hours_after_its_arrival() -> None:
    made = started()
    expiry = INBOUND_FLIGHT.arr_time + RETENTION
    assert not made.is_expired(expiry - timedelta.resolution)
    assert made.is_expired(expiry)
    assert made.evaluate(at(expiry)) == FlightOutput()
    assert made.apply(report(NONE), at(expiry + HOUR)) == FlightOutput(), "a report of an old flight brings nothing"


@pytest.mark.parametrize("news", [None, TOMBSTONE])
def test_a_flight_without_a_schedule_expires_48_hours_after_its_last_report(news: FlightNews | None) -> None:
    made = started(first=report(LOADED, news))
    made.apply(report(StageCounts(bags=1, events=2), news), at(EARLY + HOUR))
    expiry = EARLY + HOUR + RETENTION
    assert not made.is_expired(expiry - timedelta.resolution)
    assert made.is_expired(expiry)
    assert made.evaluate(at(expiry - SECOND)).wake_up == expiry
    assert made.evaluate(at(expiry)) == FlightOutput()


def test_a_cancelled_flight_of_next_week_does_not_wake_up_for_ever() -> None:
    dep = DEPARTURE + timedelta(days=7)
    news = flight_news(flight(dep=dep, status=CANCELLED_INBOUND.status))
    made = Flight(INBOUND)
    output = made.apply(report(LOADED, news), at(EARLY))
    assert output.wake_up == dep + 70 * MINUTE + RETENTION
    for _ in woken(made, output.wake_up, output):
        pass
    assert made.is_expired(output.wake_up)


def test_a_flight_is_kept_while_a_new_schedule_keeps_it() -> None:
    made = started()
    made.apply(moved(DEPARTURE + 24 * HOUR), at(DEPARTURE))
    assert not made.is_expired(INBOUND_FLIGHT.arr_time + RETENTION)
    assert made.is_expired(INBOUND_FLIGHT.arr_time + 24 * HOUR + RETENTION)


def test_a_report_in_json_and_a_flight_packed_are_what_they_were() -> None:
    one = report(LOADED, flight_news(CANCELLED_INBOUND, 7))
    assert msgspec.json.decode(msgspec.json.encode(one), type=FlightReport) == one
    made = started(CUTOFF)
    made.apply(report(NONE, None), at(CUTOFF + SECOND))
    restored = msgspec.msgpack.decode(msgspec.msgpack.encode(made), type=Flight)
    assert restored == made
    for now in (CUTOFF + TICK, CUTOFF + MINUTE):
        assert restored.evaluate(at(now)) == made.evaluate(at(now))


def test_wake_ups_lead_from_the_first_report_to_the_end() -> None:
    made = Flight(INBOUND)
    now = DEPARTURE - 6 * HOUR - MINUTE
    times = [now]
    output = made.apply(report(), at(now))
    while output.wake_up:
        times.append(output.wake_up)
        output = made.evaluate(at(output.wake_up))
    assert all(one < other for one, other in pairwise(times))
    assert times[-1] == INBOUND_FLIGHT.arr_time + RETENTION
    assert len(times) == 1 + 6 * 360 + 1 + 1
