"""What the oracle expects of the jobs, and what it objects to (design, "Decisions on the domain")."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from baggage.clock import Clock
from baggage.domain.alerts import Alert, evaluate
from baggage.domain.bags import BagLatest, bag_latest
from baggage.domain.dead_letters import dead_letter
from baggage.domain.itineraries import ItineraryState
from baggage.domain.journey import JourneyState
from baggage.domain.kpis import KPI_INTERVAL, FlightKpi, StageCounts, flight_kpi
from baggage.domain.notifications import Notification, notification_id
from baggage.domain.records import Record, RecordError
from baggage.domain.schedule import RETENTION, FlightSchedule
from baggage.domain.stages import EventType, Stage
from baggage.provision.topics import (
    ALERTS,
    ASSIGNMENT,
    BAG_LATEST,
    DEAD_LETTER,
    EVENTS,
    NOTIFICATIONS,
    SCHEDULE,
    TRUTH,
    Topic,
)
from baggage.verify.compare import Comparison, alerts_that_follow, compare
from baggage.verify.oracle import Oracle
from baggage.verify.outputs import Outputs
from baggage.verify.rejections import Rejections
from baggage.verify.timeline import PROCESSING, Tick, Ticks, Unjustified, feed, unjustified
from baggage.verify.topics import RawRecord
from tests.builders import (
    BAG,
    CANCELLED_INBOUND,
    CUSTOMER,
    DEPARTURE,
    HOUR,
    INBOUND,
    INBOUND_FLIGHT,
    ITINERARY,
    LEGS,
    MINUTE,
    ONWARD,
    ONWARD_FLIGHT,
    SECOND,
    assignment,
    event,
    flight,
)

E, S = EventType, JourneyState
OTHER = "BAG000124"
EARLY = DEPARTURE - 5 * HOUR
CUTOFF = INBOUND_FLIGHT.bag_cutoff_time


@dataclass
class Topics:
    """The topics as the oracle has read them: each record is appended to them, at a time."""

    clock: Clock = field(default_factory=Clock)
    cleared_ends_exception: bool = False

    def __post_init__(self) -> None:
        rejections = Rejections()
        self.oracle = Oracle(self.clock, self.cleared_ends_exception, rejections)
        self.outputs = Outputs(rejections)
        self._offset = 0

    def raw(self, topic: Topic, key: bytes | None, value: bytes | None, appended: datetime = EARLY) -> str:
        """Append a record; return the id of the dead letter that it may become."""
        record = RawRecord(0, self._offset, key, value, appended)
        self._offset += 1
        is_output = topic in (ALERTS, NOTIFICATIONS, DEAD_LETTER, TRUTH)
        (self.outputs if is_output else self.oracle).apply(topic, [record])
        return f"{topic.name}|0|{record.offset}"

    def append(self, topic: Topic, record: Record, appended: datetime = EARLY) -> None:
        self.raw(topic, record.key().encode(), record.to_json(), appended)

    def schedules(self, *schedules: FlightSchedule) -> None:
        for schedule in schedules:
            self.append(SCHEDULE, schedule)

    def event(self, kind: EventType, at: datetime, appended: datetime | None = None, **fields: Any) -> None:
        self.append(EVENTS, event(kind, at=at, **fields), appended or at + 3 * SECOND)

    def rejected(self) -> dict[str, str]:
        return self.oracle.rejections.reasons

    def itinerary(self, now: datetime) -> ItineraryState:
        return self.oracle.itineraries(now)[ITINERARY]


@pytest.fixture
def topics() -> Topics:
    topics = Topics()
    topics.schedules(INBOUND_FLIGHT, ONWARD_FLIGHT)
    return topics


class Tables:
    """ClickHouse, as the rows that a query of a table or view returns; `ticks` for that of the ticks."""

    def __init__(self, **rows: list[tuple[Any, ...]]) -> None:
        self._rows = rows

    def __call__(self, query: str) -> list[tuple[Any, ...]]:
        table = re.search(r"\{database\}\.(\w+)", query)
        assert table
        return self._rows.get("ticks" if "GROUP BY ts" in query else table[1], [])


def differences(comparison: Comparison, table: str) -> list[str]:
    return [str(difference) for difference in comparison.differences if difference.table == table]


# Bags


def test_a_bag_is_the_join_of_its_events_in_any_order_and_an_event_that_comes_twice_is_one(topics: Topics) -> None:
    for kind, minute in ((E.LOADED_ON_AIRCRAFT, 30), (E.CHECKED_IN, 0), (E.CHECKED_IN, 0), (E.MAKEUP_ARRIVED, 20)):
        topics.event(kind, EARLY + minute * MINUTE)
    facts = topics.oracle.facts[BAG]
    assert (facts.stage, facts.newest.last_event_time) == (Stage.LOADED, EARLY + 30 * MINUTE)
    assert topics.oracle.events == 4


def test_an_event_time_after_the_append_time_counts_as_the_append_time(topics: Topics) -> None:
    topics.event(E.CHECKED_IN, EARLY + 24 * HOUR, appended=EARLY)
    assert topics.oracle.facts[BAG].newest.last_event_time == EARLY


def test_append_times_are_converted_to_the_pipelines_clock() -> None:
    topics = Topics(Clock(speed=60, anchor=EARLY, started=DEPARTURE))
    topics.event(E.CHECKED_IN, EARLY + 24 * HOUR, appended=DEPARTURE + MINUTE)
    assert topics.oracle.facts[BAG].newest.last_event_time == EARLY + HOUR


def test_what_was_appended_before_the_clock_was_started_was_by_then(topics: Topics) -> None:
    """A run that goes on with the clock of the last one: what its clock was then, this one cannot tell."""
    topics = Topics(Clock(speed=60, anchor=EARLY, started=DEPARTURE))
    topics.event(E.CHECKED_IN, EARLY - 5 * MINUTE, appended=DEPARTURE - HOUR)
    assert topics.oracle.facts[BAG].newest.last_event_time == EARLY - 5 * MINUTE


def test_the_table_of_bags_is_compared(topics: Topics) -> None:
    topics.event(E.LOADED_ON_AIRCRAFT, EARLY)
    row = (BAG, ITINERARY, CUSTOMER, INBOUND, 0, "LOADED", "LHR_MAKEUP_12", EARLY)
    assert not differences(compare(Tables(bag_current=[row]), topics.oracle, topics.outputs, EARLY), "bag_current")
    assert differences(compare(Tables(), topics.oracle, topics.outputs, EARLY), "bag_current")


# Flights


def test_a_bag_that_is_taken_off_before_departure_is_not_loaded(topics: Topics) -> None:
    for bag in (BAG, OTHER):
        topics.event(E.LOADED_ON_AIRCRAFT, EARLY, bag_id=bag)
    assert topics.oracle.counts(INBOUND).loaded == 2
    topics.event(E.OFFLOADED, EARLY + MINUTE, airport="LHR")
    expected = StageCounts(checked_in=2, inducted=2, cleared=2, makeup=2, loaded=1, bags=2, events=3)
    assert topics.oracle.counts(INBOUND) == expected


def test_a_bag_counts_for_a_flight_by_the_events_that_name_it(topics: Topics) -> None:
    topics.event(E.LOADED_ON_AIRCRAFT, EARLY)
    topics.event(E.CHECKED_IN, EARLY, leg=1)
    assert topics.oracle.counts(INBOUND).loaded == 1
    assert topics.oracle.counts(ONWARD) == StageCounts(checked_in=1, bags=1, events=1)


def kpi_row(schedule: FlightSchedule, counts: StageCounts, now: datetime) -> tuple[Any, ...]:
    kpi = flight_kpi(schedule, counts, 0, now)
    names = ("dep_time", "bag_cutoff_time", "expected_bags", "checked_in", "inducted", "cleared", "makeup", "loaded")
    return (kpi.flight_id, now, *(getattr(kpi, name) for name in names), kpi.loaded_pct, kpi.missing)


def test_active_and_departed_flights_are_compared(topics: Topics) -> None:
    scheduled = flight(expected=2)
    topics.schedules(scheduled)
    topics.event(E.LOADED_ON_AIRCRAFT, EARLY)

    def differing(now: datetime, *rows: tuple[Any, ...]) -> list[str]:
        found = compare(Tables(flight_current=list(rows)), topics.oracle, topics.outputs, now)
        return [one for one in differences(found, "flight_current") if INBOUND in one]

    counts = topics.oracle.counts(INBOUND)
    right = kpi_row(scheduled, counts, EARLY)
    wrong = kpi_row(scheduled, StageCounts(), EARLY)
    for now in (EARLY, DEPARTURE + HOUR):
        assert not differing(now, right)
        assert differing(now, wrong)
        assert differing(now)
    for now in (DEPARTURE - 7 * HOUR, DEPARTURE + 50 * HOUR):
        assert not differing(now, wrong)
        assert not differing(now)


@pytest.mark.parametrize("is_tombstone", [True, False])
def test_a_cancelled_flight_gets_no_more_rows(topics: Topics, is_tombstone: bool) -> None:
    value = None if is_tombstone else CANCELLED_INBOUND.to_json()
    topics.raw(SCHEDULE, INBOUND.encode(), value, EARLY)
    topics.raw(SCHEDULE, INBOUND.encode(), None, EARLY + HOUR)
    assert topics.oracle.cancelled() == {INBOUND: EARLY}
    assert INBOUND not in topics.oracle.schedules()

    def differing(row_at: datetime, freshness: int) -> list[str]:
        row = kpi_row(INBOUND_FLIGHT, StageCounts(), row_at)
        ticks = [(EARLY + n * KPI_INTERVAL, freshness + 10 * n, freshness + 10 * n, EARLY) for n in range(-6, 60)]
        tables = Tables(flight_current=[row], ticks=ticks)
        return differences(compare(tables, topics.oracle, topics.outputs, EARLY), "flight_kpis (cancelled)")

    topics.event(E.CHECKED_IN, EARLY - HOUR, flight_id=ONWARD, appended=EARLY - HOUR)
    assert not differing(EARLY - MINUTE, 3600)
    assert not differing(EARLY + 10 * SECOND, 3600), "it may be on its way"
    assert differing(EARLY + 60 * SECOND, 3600)
    assert not differing(EARLY + 60 * SECOND, 3660), "the job was down, and made up for its ticks"


def test_a_cancelled_flight_that_is_announced_again_has_its_bags(topics: Topics) -> None:
    topics.event(E.LOADED_ON_AIRCRAFT, EARLY)
    topics.raw(SCHEDULE, INBOUND.encode(), None)
    topics.schedules(flight(dep=DEPARTURE + HOUR))
    assert topics.oracle.cancelled() == {}
    assert topics.oracle.schedules()[INBOUND].dep_time == DEPARTURE + HOUR
    assert topics.oracle.counts(INBOUND).loaded == 1


def test_flights_that_bags_name_and_no_schedule_ever_did(topics: Topics) -> None:
    topics.raw(SCHEDULE, ONWARD.encode(), None)
    unknown = "BR999|2026-01-04|LHR->AMS"
    for flight_id in (INBOUND, ONWARD, unknown, unknown):
        topics.event(E.CHECKED_IN, EARLY, flight_id=flight_id)
    right = Tables(unscheduled_flight_current=[(unknown, 1, 2)])
    assert not differences(compare(right, topics.oracle, topics.outputs, EARLY), "unscheduled_flights")
    assert differences(compare(Tables(), topics.oracle, topics.outputs, EARLY), "unscheduled_flights")
    late = compare(right, topics.oracle, topics.outputs, EARLY + 3 * 24 * HOUR)
    assert not differences(late, "unscheduled_flights"), "expired, and the row stays"


# Itineraries


def test_a_bag_that_was_not_loaded_is_left_behind(topics: Topics) -> None:
    topics.append(ASSIGNMENT, assignment(bags=1))
    topics.event(E.MAKEUP_ARRIVED, EARLY)
    assert topics.itinerary(DEPARTURE + 10 * MINUTE).journey_state is S.IN_ORIGIN_PROCESSING
    assert topics.itinerary(DEPARTURE + 10 * MINUTE + SECOND).journey_state is S.DELAYED_OR_REROUTED


def test_bags_of_a_cancelled_flight_are_delayed_until_it_is_announced_again(topics: Topics) -> None:
    topics.append(ASSIGNMENT, assignment(bags=1))
    topics.schedules(CANCELLED_INBOUND)
    assert topics.itinerary(EARLY).journey_state is S.DELAYED_OR_REROUTED
    topics.schedules(INBOUND_FLIGHT)
    assert topics.itinerary(EARLY).journey_state is S.CHECKED_IN


@pytest.mark.parametrize("cleared_ends_exception", [True, False])
def test_a_cleared_alarm_ends_an_exception_by_a_setting(cleared_ends_exception: bool) -> None:
    topics = Topics(cleared_ends_exception=cleared_ends_exception)
    topics.append(ASSIGNMENT, assignment(bags=1))
    topics.event(E.SCREENED_ALARM, EARLY)
    topics.event(E.SCREENED_CLEARED, EARLY + MINUTE)
    is_exception = topics.itinerary(EARLY + HOUR).journey_state is S.EXCEPTION
    assert is_exception is not cleared_ends_exception


def test_a_tombstone_takes_a_bag_out_and_the_same_assignment_brings_it_back(topics: Topics) -> None:
    for bag in (BAG, OTHER):
        topics.append(ASSIGNMENT, assignment(bag_id=bag))
    topics.event(E.MAKEUP_ARRIVED, EARLY)
    topics.raw(ASSIGNMENT, BAG.encode(), None)
    assert topics.itinerary(EARLY).bags.keys() == {OTHER}
    assert topics.oracle.left() == set()
    topics.append(ASSIGNMENT, assignment())
    assert topics.itinerary(EARLY).bags[BAG].journey_state is S.IN_ORIGIN_PROCESSING


def test_an_itinerary_that_all_bags_have_left_has_none_in_its_row(topics: Topics) -> None:
    topics.append(ASSIGNMENT, assignment(bags=1))
    topics.append(ASSIGNMENT, assignment(bags=1, itinerary_id="ITI2"))
    assert topics.oracle.itineraries(EARLY).keys() == {"ITI2"}
    assert topics.oracle.left() == {ITINERARY}

    def differing(bags_total: int, details: str) -> list[str]:
        row = (ITINERARY, CUSTOMER, bags_total, "CHECKED_IN", 0, 0, details)
        tables = Tables(itinerary_current=[row])
        return differences(compare(tables, topics.oracle, topics.outputs, EARLY), "itinerary_current (left)")

    assert not differing(0, "{}")
    details = f'{{"{BAG}": {{"journey_state": "CHECKED_IN", "leg_index": 0, "flight_id": "", "connection": ""}}}}'
    assert differing(1, details)


def test_what_may_have_expired_is_left_out(topics: Topics) -> None:
    topics.append(ASSIGNMENT, assignment(bags=1))
    expiry = ONWARD_FLIGHT.arr_time + RETENTION
    assert topics.oracle.itineraries(expiry - SECOND)
    assert not topics.oracle.itineraries(expiry)
    topics.raw(ASSIGNMENT, BAG.encode(), None, expiry + HOUR)
    assert topics.oracle.left() == set(), "deleted after it had expired: its row stays as it is"


def test_the_table_of_itineraries_is_compared(topics: Topics) -> None:
    topics.append(ASSIGNMENT, assignment(bags=2))
    state = topics.itinerary(EARLY)
    details = msgspec.json.encode(state.bags).decode()
    row = (ITINERARY, CUSTOMER, 2, "CHECKED_IN", 0, 0, details)
    other = (ITINERARY, CUSTOMER, 1, "CHECKED_IN", 0, 0, details)
    for rows, right in (([row], True), ([other], False), ([], False)):
        found = compare(Tables(itinerary_current=rows), topics.oracle, topics.outputs, EARLY)
        assert (not differences(found, "itinerary_current")) is right


# Notifications


def notification(
    version: int, previous: JourneyState, state: JourneyState, at: datetime = EARLY, itinerary_id: str = ITINERARY
) -> Notification:
    return Notification(
        created_at=at,
        notification_id=notification_id(itinerary_id, state, version),
        itinerary_id=itinerary_id,
        customer_id=CUSTOMER,
        previous_state=previous,
        journey_state=state,
        version=version,
        bags_total=1,
        current_leg_index=0,
    )


FIRST = notification(1, S.CHECKED_IN, S.IN_ORIGIN_PROCESSING)
SECOND_ONE = notification(2, S.IN_ORIGIN_PROCESSING, S.ON_FLIGHT)


@pytest.mark.parametrize(
    ("chain", "problem"),
    [
        ([FIRST, SECOND_ONE], ""),
        ([SECOND_ONE, FIRST, FIRST, SECOND_ONE], ""),
        ([FIRST, notification(2, S.IN_ORIGIN_PROCESSING, S.ON_FLIGHT, DEPARTURE), SECOND_ONE], ""),
        ([SECOND_ONE], "none before it"),
        ([FIRST, notification(3, S.IN_ORIGIN_PROCESSING, S.ON_FLIGHT)], "none before it"),
        ([FIRST, SECOND_ONE, notification(2, S.IN_ORIGIN_PROCESSING, S.EXCEPTION)], "is also"),
        ([notification(1, S.ON_FLIGHT, S.ARRIVED_AT_HUB)], "follows"),
        ([FIRST, notification(2, S.ON_FLIGHT, S.ARRIVED_AT_HUB)], "follows"),
        ([notification(1, S.CHECKED_IN, S.CHECKED_IN)], "no change"),
        ([notification(0, S.CHECKED_IN, S.ON_FLIGHT)], "is also"),
    ],
)
def test_notifications_are_a_chain_of_changes(chain: list[Notification], problem: str) -> None:
    topics = Topics()
    for one in chain:
        topics.append(NOTIFICATIONS, one)
    found = differences(compare(Tables(), topics.oracle, topics.outputs, EARLY), "notifications (chain)")
    assert problem in "".join(found)
    assert bool(found) is bool(problem)


def test_the_last_notification_says_the_present_state(topics: Topics) -> None:
    def differing() -> list[str]:
        return differences(compare(Tables(), topics.oracle, topics.outputs, EARLY), "notifications (state)")

    topics.append(ASSIGNMENT, assignment(bags=1))
    assert not differing(), "every itinerary begins as CHECKED_IN"
    topics.event(E.MAKEUP_ARRIVED, EARLY)
    assert differing()
    topics.append(NOTIFICATIONS, FIRST)
    assert not differing()
    topics.append(NOTIFICATIONS, SECOND_ONE)
    assert differing()


def test_topic_and_table_hold_the_same_notifications(topics: Topics) -> None:
    topics.append(NOTIFICATIONS, FIRST)
    row = (FIRST.notification_id, ITINERARY, "IN_ORIGIN_PROCESSING")
    for rows, right in (([row], True), ([], False)):
        found = compare(Tables(notification_current=rows), topics.oracle, topics.outputs, EARLY)
        assert (not differences(found, "notifications")) is right


# Alerts


def kpi_at(now: datetime, loaded: int) -> FlightKpi:
    return flight_kpi(flight(expected=2), StageCounts(loaded=loaded), 0, now)


def alerts_differing(
    kpis: Collection[FlightKpi],
    raised: Collection[Alert],
    withheld: Iterable[Alert] = (),
    table: str = "alerts (topic)",
) -> list[str]:
    topics = Topics()
    for alert in raised:
        topics.append(ALERTS, alert)
    times = {one.ts for one in kpis} | {one.now for one in raised}
    tables = Tables(
        ticks=[(tick, 0, 0, tick) for time in times for tick in (time, time + KPI_INTERVAL)],
        flight_kpis=[msgspec.structs.astuple(kpi) for kpi in kpis],
        withheld_alerts=[(alert.alert_id,) for alert in withheld],
        alert_current=[(alert.alert_id, alert.flight_id, alert.rule_id.value) for alert in raised],
    )
    return differences(compare(tables, topics.oracle, topics.outputs, EARLY), table)


def test_an_alert_is_on_the_topic_exactly_if_it_follows_from_a_row_or_is_withheld() -> None:
    missed = kpi_at(CUTOFF + 10 * SECOND, loaded=1)
    raised = evaluate(missed)
    assert len(raised) == 2
    assert not alerts_differing([missed], raised)
    assert not alerts_differing([missed], raised, table="alerts")
    assert len(alerts_differing([missed], [])) == 2
    assert len(alerts_differing([missed], raised[:1])) == 1
    assert not alerts_differing([missed], [], withheld=raised)
    assert not alerts_differing([missed], raised, withheld=raised)
    assert len(alerts_differing([kpi_at(missed.ts, loaded=2)], raised)) == 2
    later = [msgspec.structs.replace(alert, now=alert.now + 10 * SECOND) for alert in raised]
    assert len(alerts_differing([missed], [*raised, *later])) == 2, "no row at that time says so"


def test_after_a_restart_a_row_may_say_less_than_an_alert_that_was_raised_before_it() -> None:
    made_up, before = kpi_at(CUTOFF + 10 * SECOND, loaded=0), evaluate(kpi_at(CUTOFF + 10 * SECOND, loaded=1))
    for disturbed, differing in (({made_up.ts}, 0), (set[datetime](), 2)):
        for rows in ([made_up], []):
            expected, found = alerts_that_follow(rows, set(), before, disturbed.__contains__)
            assert sum(expected[key] != found.get(key) for key in expected) == differing


def test_of_a_row_that_was_made_twice_only_what_both_raise_must_be_on_the_topic() -> None:
    before, made_up = kpi_at(CUTOFF + 10 * SECOND, loaded=1), kpi_at(CUTOFF + 10 * SECOND, loaded=2)
    assert not alerts_differing([before, made_up], [])
    assert not alerts_differing([before, made_up], evaluate(before))
    assert len(alerts_differing([before, kpi_at(CUTOFF + 10 * SECOND, loaded=0)], [])) == 2


def test_a_tick_is_disturbed_if_its_rows_or_the_next_ones_came_late_or_not_at_all(topics: Topics) -> None:
    def disturbed(first: timedelta | None, second: timedelta | None) -> bool:
        late = {EARLY: first, EARLY + KPI_INTERVAL: second}
        rows = {tick: Tick(0, 0, tick + by) for tick, by in late.items() if by is not None}
        return feed(topics.oracle, rows).is_disturbed(EARLY)

    at_once, late = 3 * SECOND, 4 * SECOND
    assert not disturbed(at_once, at_once)
    for first, second in ((late, at_once), (at_once, late), (None, at_once), (at_once, None)):
        assert disturbed(first, second)


def test_a_departed_flight_raises_nothing() -> None:
    last = kpi_at(DEPARTURE + 10 * SECOND, loaded=0)
    assert not alerts_differing([last], [])
    assert alerts_differing([last], evaluate(last))


# Conclusions


def ticks_between(since: datetime, until: datetime, appends: Iterable[datetime], lag: timedelta) -> Ticks:
    """KPI ticks of a job that processes what is appended after `lag`."""
    ticks, appended = {}, sorted(appends)
    tick = since
    while tick <= until:
        stale = int((tick - max(one for one in appended if one + lag <= tick)).total_seconds())
        ticks[tick] = Tick(stale, stale, tick)
        tick += KPI_INTERVAL
    return ticks


def unjustified_of(topics: Topics, ticks: Ticks | None = None) -> list[Unjustified]:
    return unjustified(topics.oracle, topics.outputs, feed(topics.oracle, ticks or {}))


def raise_alerts(topics: Topics, at: datetime, loaded: int) -> None:
    for alert in evaluate(kpi_at(at, loaded)):
        topics.append(ALERTS, alert, at)


def two_bags(topics: Topics) -> None:
    topics.schedules(flight(expected=2))
    topics.event(E.LOADED_ON_AIRCRAFT, EARLY)


def test_an_alert_follows_from_the_bags_that_were_loaded_by_then(topics: Topics) -> None:
    two_bags(topics)
    topics.event(E.LOADED_ON_AIRCRAFT, CUTOFF + 5 * MINUTE, bag_id=OTHER)
    raise_alerts(topics, CUTOFF + MINUTE, loaded=1)
    raise_alerts(topics, CUTOFF + 5 * MINUTE + 10 * SECOND, loaded=1)
    assert unjustified_of(topics) == [], "the second one: the event may be on its way"
    raise_alerts(topics, CUTOFF + 6 * MINUTE, loaded=1)
    found = unjustified_of(topics)
    assert len(found) == 2
    assert "at least 2 bags loaded" in found[0].follows


def test_a_bag_that_was_taken_off_raises_an_alert(topics: Topics) -> None:
    two_bags(topics)
    topics.event(E.LOADED_ON_AIRCRAFT, EARLY, bag_id=OTHER)
    topics.event(E.OFFLOADED, CUTOFF + MINUTE, bag_id=OTHER, airport="LHR")
    topics.event(E.LOADED_ON_AIRCRAFT, CUTOFF + 5 * MINUTE, bag_id=OTHER)
    raise_alerts(topics, CUTOFF + 2 * MINUTE, loaded=1)
    assert unjustified_of(topics) == []
    raise_alerts(topics, CUTOFF + 10 * SECOND, loaded=1)
    raise_alerts(topics, CUTOFF + 6 * MINUTE, loaded=1)
    assert len(unjustified_of(topics)) == 4


def test_an_alert_of_a_flight_that_was_cancelled_or_not_active_is_not_justified(topics: Topics) -> None:
    two_bags(topics)
    topics.append(SCHEDULE, CANCELLED_INBOUND, CUTOFF + MINUTE)
    raise_alerts(topics, CUTOFF + 30 * SECOND, loaded=1)
    raise_alerts(topics, CUTOFF + MINUTE + 10 * SECOND, loaded=1)
    assert unjustified_of(topics) == []
    raise_alerts(topics, CUTOFF + 2 * MINUTE, loaded=1)
    assert len(unjustified_of(topics)) == 2
    raise_alerts(topics, DEPARTURE, loaded=1)
    assert len(unjustified_of(topics)) == 4


def test_an_alert_of_a_backlog_is_not_justified(topics: Topics) -> None:
    """At noon the events of the morning are published: they had happened, though the broker has them only now."""
    two_bags(topics)
    noon = CUTOFF + 10 * MINUTE
    topics.event(E.LOADED_ON_AIRCRAFT, EARLY, bag_id=OTHER, appended=noon + 2 * MINUTE)
    topics.event(E.CHECKED_IN, EARLY, bag_id="BAG3", appended=noon + 30 * SECOND, leg=1)
    raise_alerts(topics, noon + MINUTE, loaded=1)
    assert len(unjustified_of(topics)) == 2


def late_feed() -> tuple[Topics, list[datetime]]:
    """A feed that was there, and then stops for ten minutes, in which a bag is loaded."""
    topics = Topics()
    two_bags(topics)
    appends = [CUTOFF - 2 * MINUTE + n * 10 * SECOND for n in range(12)] + [CUTOFF + 10 * MINUTE]
    for appended in appends[:-1]:
        topics.event(E.CHECKED_IN, appended - 3 * SECOND, leg=1, appended=appended)
    topics.event(E.LOADED_ON_AIRCRAFT, CUTOFF - SECOND, bag_id=OTHER, appended=appends[-1])
    raise_alerts(topics, CUTOFF + 9 * MINUTE, loaded=1)
    return topics, appends


def test_a_job_that_runs_cannot_know_of_what_a_feed_brings_late() -> None:
    topics, appends = late_feed()
    ticks = ticks_between(CUTOFF - MINUTE, CUTOFF + 15 * MINUTE, appends, 2 * SECOND)
    assert unjustified_of(topics, ticks) == []
    raise_alerts(topics, CUTOFF + 11 * MINUTE, loaded=1)
    assert len(unjustified_of(topics, ticks)) == 2, "then it has come"


def test_a_job_that_was_down_concludes_nothing_before_it_has_caught_up() -> None:
    topics, appends = late_feed()
    ticks = dict(ticks_between(CUTOFF - MINUTE, CUTOFF + 15 * MINUTE, appends, 2 * SECOND))
    made_up = {tick: Tick(530, 530, tick) for tick in ticks if CUTOFF <= tick <= CUTOFF + 8 * MINUTE}
    assert len(unjustified_of(topics, ticks | made_up)) == 2
    missing = {tick: fresh for tick, fresh in ticks.items() if tick not in made_up}
    assert len(unjustified_of(topics, missing)) == 2


def test_after_two_minutes_of_silence_a_backlog_counts_as_read(topics: Topics) -> None:
    two_bags(topics)
    silent = CUTOFF + 10 * MINUTE
    topics.event(E.LOADED_ON_AIRCRAFT, EARLY, bag_id=OTHER, appended=silent + MINUTE)
    raise_alerts(topics, silent, loaded=1)
    ticks = ticks_between(silent - 2 * MINUTE, silent, [EARLY + 3 * SECOND], SECOND)
    assert unjustified_of(topics, ticks) == []
    assert len(unjustified_of(topics)) == 2, "if the job has run for two minutes"


AT_RISK = notification(1, S.CHECKED_IN, S.AT_RISK_FOR_CONNECTION)
ONWARD_CUTOFF = ONWARD_FLIGHT.bag_cutoff_time


def notify(topics: Topics, at: datetime, state: JourneyState = S.AT_RISK_FOR_CONNECTION) -> None:
    topics.append(NOTIFICATIONS, notification(1, S.CHECKED_IN, state, at), at)


@pytest.fixture
def transfer(topics: Topics) -> Topics:
    topics.append(ASSIGNMENT, assignment(bags=1))
    topics.event(E.LOADED_ON_AIRCRAFT, EARLY)
    topics.event(E.OFFLOADED, DEPARTURE + 75 * MINUTE)
    return topics


@pytest.mark.parametrize(
    ("state", "at", "is_justified"),
    [
        (S.AT_RISK_FOR_CONNECTION, ONWARD_CUTOFF - 45 * MINUTE, False),
        (S.AT_RISK_FOR_CONNECTION, ONWARD_CUTOFF - 45 * MINUTE + timedelta(milliseconds=1), True),
        (S.AT_RISK_FOR_CONNECTION, ONWARD_CUTOFF + SECOND, False),
        (S.DELAYED_OR_REROUTED, ONWARD_CUTOFF, False),
        (S.DELAYED_OR_REROUTED, ONWARD_CUTOFF + SECOND, True),
    ],
)
def test_a_notification_follows_from_the_rules_at_its_time(
    transfer: Topics, state: JourneyState, at: datetime, is_justified: bool
) -> None:
    notify(transfer, at, state)
    assert (unjustified_of(transfer) == []) is is_justified


@pytest.mark.parametrize(("after", "is_justified"), [(10 * SECOND, True), (PROCESSING + 5 * SECOND, False)])
def test_an_event_is_processed_late_but_not_for_ever(transfer: Topics, after: timedelta, is_justified: bool) -> None:
    made_up = ONWARD_CUTOFF - 20 * MINUTE
    transfer.event(E.MAKEUP_ARRIVED, made_up, leg=1)
    notify(transfer, made_up + after)
    assert (unjustified_of(transfer) == []) is is_justified


def test_an_itinerary_is_as_bad_as_its_worst_bag_and_each_may_be_known_as_of_another_time(transfer: Topics) -> None:
    transfer.append(ASSIGNMENT, assignment(bag_id=OTHER))
    at = ONWARD_CUTOFF + 10 * SECOND
    notify(transfer, at, S.AT_RISK_FOR_CONNECTION)
    assert len(unjustified_of(transfer)) == 1, "both are delayed"
    transfer.event(E.LOADED_ON_AIRCRAFT, EARLY, bag_id=OTHER)
    for bag in (BAG, OTHER):
        transfer.event(E.LOADED_ON_AIRCRAFT, EARLY + HOUR, leg=1, bag_id=bag)
    assert len(unjustified_of(transfer)) == 1, "none is"


def test_a_flight_that_is_moved_or_an_assignment_that_changes_counts_from_then_on(transfer: Topics) -> None:
    at = ONWARD_CUTOFF + HOUR
    later = flight(ONWARD, ONWARD_FLIGHT.dep_time + 3 * HOUR)
    transfer.append(SCHEDULE, later, ONWARD_CUTOFF - HOUR)
    notify(transfer, at, S.DELAYED_OR_REROUTED)
    assert len(unjustified_of(transfer)) == 1
    other_legs = (LEGS[0], msgspec.structs.replace(LEGS[1], flight_id="BR611|2026-01-04|AMS->FRA"))
    transfer.schedules(flight("BR611|2026-01-04|AMS->FRA", ONWARD_FLIGHT.dep_time))
    transfer.append(ASSIGNMENT, assignment(other_legs, bags=1), at - 5 * SECOND)
    assert unjustified_of(transfer) == []


def test_a_schedule_that_is_published_late_held_before(topics: Topics) -> None:
    topics = Topics()
    noon = ONWARD_CUTOFF + HOUR
    topics.append(ASSIGNMENT, assignment(bags=1), noon)
    for schedule in (INBOUND_FLIGHT, ONWARD_FLIGHT):
        topics.append(SCHEDULE, schedule, noon)
    notify(topics, ONWARD_CUTOFF - MINUTE)
    assert unjustified_of(topics) == []


def test_a_bag_of_another_itinerary_explains_nothing(transfer: Topics) -> None:
    at = ONWARD_CUTOFF - MINUTE
    transfer.append(ASSIGNMENT, assignment(itinerary_id="ITI2"), at - MINUTE)
    notify(transfer, at)
    assert [one.follows for one in unjustified_of(transfer)] == [f"{BAG} of another itinerary"]


# Dead letters


def letters_differing(topics: Topics, letters: dict[str, str]) -> list[str]:
    rows = list(letters.items())
    for key, reason in rows:
        topic, partition, offset = key.rsplit("|", 2)
        letter = dead_letter(topic, int(partition), int(offset), None, None, RecordError("", reason), EARLY)
        topics.append(DEAD_LETTER, letter)
    comparison = compare(Tables(dead_letter_current=rows), topics.oracle, topics.outputs, EARLY)
    on_topic = differences(comparison, "dead letters (topic)")
    assert len(on_topic) == len(differences(comparison, "dead_letters"))
    return on_topic


def test_every_record_that_is_rejected_is_a_dead_letter_with_its_reason(topics: Topics) -> None:
    bad = [topics.raw(topic, b"k", b"[1, 2") for topic in (EVENTS, SCHEDULE, ASSIGNMENT, BAG_LATEST, NOTIFICATIONS)]
    bad += [topics.raw(topic, b"k", None) for topic in (EVENTS, NOTIFICATIONS)]
    bad += [topics.raw(topic, key, None) for topic in (SCHEDULE, ASSIGNMENT) for key in (None, b"", b"\xff")]
    for topic in (SCHEDULE, ASSIGNMENT, BAG_LATEST):
        topics.raw(topic, b"k", None)
    assert topics.rejected().keys() == set(bad)
    assert len(letters_differing(topics, {})) == len(bad)
    assert letters_differing(topics, dict(topics.rejected())) == []


def test_another_reason_is_a_difference(topics: Topics) -> None:
    bad = topics.raw(EVENTS, b"k", None)
    assert topics.rejected()[bad] == "no value"
    assert len(letters_differing(topics, {bad: "something else"})) == 1


def test_a_valid_record_of_which_there_is_a_dead_letter_is_a_difference(topics: Topics) -> None:
    assert letters_differing(topics, {f"{SCHEDULE.name}|0|0": "reason"})


def test_a_record_that_was_compacted_away_is_not_judged(topics: Topics) -> None:
    latest = bag_latest_record(topics)
    for _ in range(3):
        topics.append(BAG_LATEST, latest)
    gone = f"{BAG_LATEST.name}|0|0"
    assert letters_differing(topics, {gone: "reason"}) == []
    assert letters_differing(topics, {f"{BAG_LATEST.name}|0|999": "reason"}), "it was never there"


def bag_latest_record(topics: Topics) -> BagLatest:
    topics.event(E.CHECKED_IN, EARLY)
    return bag_latest(topics.oracle.facts[BAG], EARLY, EARLY)


@pytest.mark.parametrize("key", [f"{EVENTS.name}|0|0", "FlightKpiAlert|0|1767520000000000"])
def test_a_failure_of_our_own_code_is_always_a_difference(topics: Topics, key: str) -> None:
    assert letters_differing(topics, {key: "internal: KeyError: 'x'"})


def test_somebody_elses_record_on_our_own_topics_is_rejected_and_counted(topics: Topics) -> None:
    for topic in (ALERTS, DEAD_LETTER, TRUTH, NOTIFICATIONS, BAG_LATEST):
        topics.raw(topic, b"\xff", b"{}")
    assert len(topics.oracle.rejections) == 5
    assert len(topics.rejected()) == 2
