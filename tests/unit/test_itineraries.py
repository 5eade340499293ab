"""Specification section 6.3 and design: an itinerary's rows and notifications, one piece of news after the other."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from itertools import pairwise

import msgspec
import pytest

from baggage.domain.bags import BagFacts, Loading
from baggage.domain.itineraries import (
    WORST_FIRST,
    Itinerary,
    ItineraryNews,
    ItineraryOutput,
    ItineraryStatus,
    itinerary_state,
    itinerary_status,
)
from baggage.domain.journey import BagJourney, JourneyState
from baggage.domain.notifications import Notification, Notified, parse_notification
from baggage.domain.schedule import RETENTION, STATE_RETENTION, Assignment, FlightNews
from baggage.domain.stages import Stage
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
    assignment_news,
    facts,
    flight,
    flight_news,
)

S = JourneyState
DIRECT = LEGS[:1]
EARLY = DEPARTURE - 3 * HOUR
MILLISECOND = timedelta(milliseconds=1)
CHECKED_IN = facts(0, Stage.CHECKED_IN, airport="LHR")
INDUCTED = facts(0, Stage.INDUCTED, airport="LHR")
LOADED = facts(0, Stage.LOADED, airport="LHR", loaded=Loading(0, EARLY, INBOUND))


def of_bag(
    bag: BagFacts | None = None,
    assigned: Assignment | None = None,
    offset: int = 0,
    bag_id: str = BAG,
) -> ItineraryNews:
    return ItineraryNews(bag_id=bag_id, facts=bag, assigned=assignment_news(assigned, offset) if assigned else None)


def gone(offset: int, bag_id: str = BAG) -> ItineraryNews:
    return ItineraryNews(bag_id=bag_id, assigned=assignment_news(None, offset))


def of_flight(news: FlightNews, flight_id: str = INBOUND) -> ItineraryNews:
    return ItineraryNews(flight_id=flight_id, flight=news)


def of_notification(version: int, state: JourneyState) -> ItineraryNews:
    return ItineraryNews(notified=Notified(version, state))


ASSIGNED = of_bag(assigned=assignment(DIRECT, 1))
ASSIGNED_BOTH = of_bag(assigned=assignment(LEGS, 1))


def itinerary(*news: ItineraryNews, now: datetime = EARLY) -> Itinerary:
    made = Itinerary(ITINERARY)
    for one in news:
        assert made.apply(one, now)
    return made


def told(made: Itinerary, news: ItineraryNews, now: datetime = EARLY) -> ItineraryOutput:
    assert made.apply(news, now)
    return made.evaluate(now)


def row_of(output: ItineraryOutput) -> ItineraryStatus:
    assert output.status
    return output.status


def notice_of(output: ItineraryOutput) -> Notification:
    assert output.notification
    return output.notification


def summary(output: ItineraryOutput) -> tuple[JourneyState | None, int | None]:
    """The journey state of the row, and the version of the notification."""
    return (
        output.status.journey_state if output.status else None,
        output.notification.version if output.notification else None,
    )


# The worst bag


def worst(*states: JourneyState, total: int | None = None) -> JourneyState:
    bags = {f"BAG{n}": BagJourney(state, 0) for n, state in enumerate(states)}
    return itinerary_state("ITI1", "CUST1", total or len(bags), bags).journey_state


@pytest.mark.parametrize(("worse", "better"), list(pairwise(WORST_FIRST)))
def test_an_itinerary_takes_its_worst_bag(worse: JourneyState, better: JourneyState) -> None:
    assert worst(worse, better) is worse
    assert worst(better, worse, better) is worse


def test_the_order_of_states_is_exception_delayed_at_risk_then_the_least_advanced() -> None:
    assert WORST_FIRST[:3] == (S.EXCEPTION, S.DELAYED_OR_REROUTED, S.AT_RISK_FOR_CONNECTION)
    assert WORST_FIRST[3:] == tuple(S)[:8]


def test_a_bag_that_nobody_heard_of_is_not_advanced_at_all() -> None:
    assert worst(S.ON_CAROUSEL, total=2) is S.CHECKED_IN
    assert worst(S.DELAYED_OR_REROUTED, total=2) is S.DELAYED_OR_REROUTED


def test_the_risk_flag_is_set_if_any_bag_is_at_risk_even_behind_a_worse_one() -> None:
    bags = {"A": BagJourney(S.EXCEPTION, 0), "B": BagJourney(S.AT_RISK_FOR_CONNECTION, 0)}
    assert itinerary_state("ITI1", "CUST1", 2, bags).risk_flag
    assert not itinerary_state("ITI1", "CUST1", 1, {"A": bags["A"]}).risk_flag


def test_the_current_leg_is_that_of_the_worst_bag_and_the_earliest_of_several() -> None:
    bags = {"A": BagJourney(S.ON_CAROUSEL, 1), "B": BagJourney(S.ON_FLIGHT, 0)}
    assert itinerary_state("ITI1", "CUST1", 2, bags).current_leg_index == 0
    assert itinerary_state("ITI1", "CUST1", 1, {"A": bags["A"]}).current_leg_index == 1
    assert itinerary_state("ITI1", "CUST1", 3, bags).current_leg_index == 0
    both = {"A": BagJourney(S.EXCEPTION, 2), "B": BagJourney(S.EXCEPTION, 1)}
    assert itinerary_state("ITI1", "CUST1", 2, both).current_leg_index == 1


def test_the_row_of_an_itinerary_says_where_each_bag_is() -> None:
    bags = {"A": BagJourney(S.ON_FLIGHT, 0, INBOUND, ONWARD)}
    row = itinerary_status(itinerary_state("ITI1", "CUST1", 1, bags), DEPARTURE)
    assert (row.key(), row.customer_id, row.bags_total, row.risk_flag) == ("ITI1", "CUST1", 1, False)
    assert json.loads(row.details_json) == {
        "A": {"journey_state": "ON_FLIGHT", "leg_index": 0, "flight_id": INBOUND, "connection": ONWARD}
    }


# Rows and notifications


def test_the_first_row_comes_with_the_first_assignment() -> None:
    made = itinerary(of_bag(INDUCTED), of_flight(flight_news()), of_notification(1, S.CHECKED_IN))
    assert made.evaluate(EARLY).status is None
    output = told(made, ASSIGNED)
    row = row_of(output)
    assert (row.itinerary_id, row.customer_id, row.bags_total) == (ITINERARY, CUSTOMER, 1)
    assert (row.journey_state, row.current_leg_index, row.ts) == (S.IN_ORIGIN_PROCESSING, 0, EARLY)


def test_an_itinerary_begins_as_checked_in_which_is_no_change() -> None:
    assert summary(itinerary(ASSIGNED).evaluate(EARLY)) == (S.CHECKED_IN, None)
    assert summary(itinerary(ASSIGNED, of_bag(CHECKED_IN)).evaluate(EARLY)) == (S.CHECKED_IN, None)


def test_an_itinerary_that_is_first_heard_of_in_another_state_has_changed() -> None:
    notice = notice_of(itinerary(ASSIGNED, of_bag(INDUCTED)).evaluate(EARLY))
    assert notice.key() == f"{ITINERARY}|IN_ORIGIN_PROCESSING|1"
    assert (notice.previous_state, notice.journey_state) == (S.CHECKED_IN, S.IN_ORIGIN_PROCESSING)
    assert (notice.version, notice.created_at, notice.bags_total) == (1, EARLY, 1)
    assert parse_notification(notice.key().encode(), notice.to_json()) == notice


def test_what_has_changed_is_emitted_once() -> None:
    made = itinerary(ASSIGNED)
    assert made.evaluate(EARLY).status
    assert summary(made.evaluate(EARLY)) == (None, None)
    assert summary(told(made, of_bag(CHECKED_IN))) == (None, None), "the same state"
    assert summary(told(made, of_bag(INDUCTED))) == (S.IN_ORIGIN_PROCESSING, 1)
    assert summary(told(made, of_bag(INDUCTED))) == (None, None)
    assert summary(told(made, of_bag(LOADED))) == (S.ON_FLIGHT, 2)


def test_every_notification_says_what_was_before() -> None:
    made = itinerary(ASSIGNED)
    notices = [notice_of(told(made, of_bag(bag))) for bag in (INDUCTED, LOADED, facts(0, Stage.CAROUSEL))]
    assert [notice.version for notice in notices] == [1, 2, 3]
    for one, next_one in pairwise(notices):
        assert next_one.previous_state is one.journey_state


def test_older_facts_take_nothing_back() -> None:
    made = itinerary(ASSIGNED, of_bag(LOADED))
    made.evaluate(EARLY)
    assert summary(told(made, of_bag(CHECKED_IN))) == (None, None)


def test_rows_of_one_second_are_a_second_apart() -> None:
    made = itinerary(ASSIGNED)
    now = EARLY + 999 * MILLISECOND
    rows = [row_of(made.evaluate(now))]
    rows += [row_of(told(made, of_bag(bag), now)) for bag in (INDUCTED, LOADED)]
    assert [row.ts for row in rows] == [EARLY, EARLY + SECOND, EARLY + 2 * SECOND]
    row = row_of(told(made, of_bag(facts(0, Stage.OFFLOADED)), EARLY + MINUTE))
    assert row.ts == EARLY + MINUTE


def test_a_row_is_made_where_a_bag_changes_and_the_itinerary_does_not() -> None:
    made = itinerary(of_bag(INDUCTED, assignment(LEGS, 2)), of_bag(INDUCTED, assignment(LEGS, 2), bag_id="B2"))
    assert summary(made.evaluate(EARLY)) == (S.IN_ORIGIN_PROCESSING, 1)
    output = told(made, of_bag(LOADED, bag_id="B2"))
    assert summary(output) == (S.IN_ORIGIN_PROCESSING, None)
    assert json.loads(row_of(output).details_json)["B2"]["journey_state"] == "ON_FLIGHT"


def test_the_setting_ends_an_exception_when_it_is_cleared() -> None:
    made = itinerary(ASSIGNED, of_bag(facts(0, Stage.CLEARED, airport="LHR", alarmed=EARLY, cleared=EARLY + SECOND)))
    assert summary(made.evaluate(EARLY)) == (S.EXCEPTION, 1)
    assert summary(made.evaluate(EARLY, cleared_ends_exception=True)) == (S.IN_ORIGIN_PROCESSING, 2)


# Wake-ups


def test_it_wakes_up_at_the_deadlines_of_its_bags_and_says_what_has_become_of_them() -> None:
    flights = (of_flight(flight_news()), of_flight(flight_news(ONWARD_FLIGHT), ONWARD))
    made = itinerary(ASSIGNED_BOTH, of_bag(LOADED), *flights)
    now, seen = EARLY, list[tuple[datetime, JourneyState]]()
    while True:
        output = made.evaluate(now)
        if output.status:
            seen.append((now.replace(microsecond=0), output.status.journey_state))
        if output.wake_up is None:
            break
        assert output.wake_up > now
        now = output.wake_up
    cutoff = ONWARD_FLIGHT.bag_cutoff_time
    assert seen == [
        (EARLY, S.ON_FLIGHT),
        (INBOUND_FLIGHT.arr_time, S.ARRIVED_AT_HUB),
        (cutoff - 45 * MINUTE, S.AT_RISK_FOR_CONNECTION),
        (cutoff, S.DELAYED_OR_REROUTED),
    ]
    assert now == ONWARD_FLIGHT.arr_time + RETENTION + STATE_RETENTION, "then nothing need be kept"
    assert made.is_over(now)
    assert not made.is_over(now - SECOND)
    assert made.is_expired
    assert made.notified.version == 4


def test_a_bag_that_is_left_behind_is_notified_once() -> None:
    made = itinerary(ASSIGNED, of_bag(facts(0, Stage.MAKEUP, airport="LHR")), of_flight(flight_news()))
    output = made.evaluate(EARLY)
    assert output.wake_up == DEPARTURE + 10 * MINUTE + MILLISECOND
    assert summary(made.evaluate(output.wake_up)) == (S.DELAYED_OR_REROUTED, 2)
    assert summary(made.evaluate(output.wake_up + HOUR)) == (None, None)


def test_the_nearest_deadline_of_several_bags_wakes_it_up() -> None:
    made = itinerary(
        of_bag(facts(1, Stage.EXPECTED), assignment(LEGS, 2)),
        of_bag(CHECKED_IN, assignment(DIRECT, 2, "B2"), bag_id="B2"),
        of_flight(flight_news()),
        of_flight(flight_news(ONWARD_FLIGHT), ONWARD),
    )
    assert made.evaluate(EARLY).wake_up == DEPARTURE + 10 * MINUTE + MILLISECOND


# Assignments


def test_a_bag_that_leaves_makes_a_row_and_one_that_comes_back_is_as_it_was() -> None:
    made = itinerary(ASSIGNED, of_bag(INDUCTED))
    assert summary(made.evaluate(EARLY)) == (S.IN_ORIGIN_PROCESSING, 1)
    left = told(made, gone(1))
    assert summary(left) == (S.IN_ORIGIN_PROCESSING, None)
    assert (row_of(left).bags_total, row_of(left).details_json, row_of(left).risk_flag) == (0, "{}", False)
    assert summary(told(made, of_bag(LOADED))) == (None, None), "what it does meanwhile is not said"
    back = told(made, of_bag(assigned=assignment(DIRECT, 1), offset=2))
    assert summary(back) == (S.ON_FLIGHT, 2), "but known"
    assert row_of(back).bags_total == 1


def test_an_itinerary_that_all_bags_have_left_is_not_at_risk_and_notifies_nothing() -> None:
    made = itinerary(ASSIGNED_BOTH, of_bag(facts(1, Stage.EXPECTED)), of_flight(flight_news(ONWARD_FLIGHT), ONWARD))
    now = ONWARD_FLIGHT.bag_cutoff_time - MINUTE
    assert row_of(made.evaluate(now)).risk_flag
    left = told(made, gone(1), now)
    assert summary(left) == (S.AT_RISK_FOR_CONNECTION, None)
    assert not row_of(left).risk_flag
    assert summary(told(made, of_notification(9, S.EXCEPTION), now)) == (None, None)


def test_a_bag_that_comes_back_as_it_was_is_no_change_of_state() -> None:
    made = itinerary(ASSIGNED, of_bag(INDUCTED))
    made.evaluate(EARLY)
    told(made, gone(1))
    assert summary(told(made, of_bag(assigned=assignment(DIRECT, 1), offset=2))) == (S.IN_ORIGIN_PROCESSING, None)


def test_one_of_two_bags_that_leaves_leaves_the_other() -> None:
    two = assignment(DIRECT, 2)
    made = itinerary(of_bag(INDUCTED, two), of_bag(LOADED, two, bag_id="B2"))
    made.evaluate(EARLY)
    output = told(made, gone(1))
    assert summary(output) == (S.CHECKED_IN, 2), "of two bags one has not been heard of"
    assert list(json.loads(row_of(output).details_json)) == ["B2"]
    assert summary(told(made, of_bag(assigned=assignment(DIRECT, 1), offset=2, bag_id="B2"))) == (S.ON_FLIGHT, 3)


def test_another_number_of_bags_makes_a_row() -> None:
    made = itinerary(ASSIGNED)
    made.evaluate(EARLY)
    output = told(made, of_bag(assigned=assignment(DIRECT, 3), offset=1))
    assert summary(output) == (S.CHECKED_IN, None)
    assert row_of(output).bags_total == 3


def test_a_bag_that_goes_to_another_itinerary_leaves_this_one() -> None:
    made = itinerary(ASSIGNED, of_bag(INDUCTED))
    made.evaluate(EARLY)
    moved = of_bag(assigned=assignment(DIRECT, 1, itinerary_id="ITI2"), offset=1)
    assert row_of(told(made, moved)).bags_total == 0
    other = Itinerary("ITI2")
    assert other.apply(of_bag(INDUCTED, assignment(DIRECT, 1, itinerary_id="ITI2"), 1), EARLY)
    assert summary(other.evaluate(EARLY)) == (S.IN_ORIGIN_PROCESSING, 1)


def test_a_rebooked_bag_follows_its_new_legs_and_keeps_its_progress() -> None:
    made = itinerary(ASSIGNED, of_bag(INDUCTED))
    made.evaluate(EARLY)
    later = msgspec.structs.replace(LEGS[0], flight_id="BR027|2026-01-04|LHR->AMS")
    output = told(made, of_bag(assigned=assignment((later,), 1), offset=1))
    assert summary(output) == (S.IN_ORIGIN_PROCESSING, None)
    assert json.loads(row_of(output).details_json)[BAG]["flight_id"] == later.flight_id


def test_a_rebooking_by_tombstone_and_new_assignment_goes_on_with_the_next_version() -> None:
    made = itinerary(ASSIGNED, of_bag(INDUCTED))
    assert notice_of(made.evaluate(EARLY)).version == 1
    told(made, gone(1))
    later = msgspec.structs.replace(LEGS[0], flight_id="BR027|2026-01-04|LHR->AMS")
    assert summary(told(made, of_bag(assigned=assignment((later,), 1), offset=2))) == (S.IN_ORIGIN_PROCESSING, None)
    assert summary(told(made, of_bag(facts(0, Stage.LOADED, airport="LHR")))) == (S.ON_FLIGHT, 2)


def test_an_older_assignment_changes_nothing() -> None:
    made = itinerary(of_bag(INDUCTED, assignment(DIRECT, 1), offset=5))
    made.evaluate(EARLY)
    for old in (gone(4), of_bag(assigned=assignment(LEGS, 7), offset=3), gone(0)):
        assert summary(told(made, old)) == (None, None)


# Schedules


def test_a_schedule_that_moves_is_followed() -> None:
    made = itinerary(ASSIGNED, of_bag(INDUCTED), of_flight(flight_news()))
    made.evaluate(EARLY)
    now = DEPARTURE + 11 * MINUTE
    assert summary(made.evaluate(now)) == (S.DELAYED_OR_REROUTED, 2)
    delayed = told(made, of_flight(flight_news(flight(dep=DEPARTURE + HOUR), 1)), now)
    assert summary(delayed) == (S.IN_ORIGIN_PROCESSING, 3)
    assert delayed.wake_up == DEPARTURE + 70 * MINUTE + MILLISECOND
    assert summary(told(made, of_flight(flight_news(flight(dep=DEPARTURE), 2)), now)) == (S.DELAYED_OR_REROUTED, 4)


@pytest.mark.parametrize("cancelled", [FlightNews(1, None), flight_news(CANCELLED_INBOUND, 1)])
def test_a_flight_that_is_cancelled_delays_its_bags_until_it_is_announced_again(cancelled: FlightNews) -> None:
    made = itinerary(ASSIGNED, of_bag(INDUCTED), of_flight(flight_news()))
    made.evaluate(EARLY)
    assert summary(told(made, of_flight(cancelled))) == (S.DELAYED_OR_REROUTED, 2)
    assert not made.apply(of_flight(flight_news()), EARLY), "an older schedule changes nothing"
    assert not made.apply(of_flight(cancelled), EARLY), "nor does the same one again"
    assert summary(made.evaluate(EARLY)) == (None, None)
    assert summary(told(made, of_flight(flight_news(offset=2)))) == (S.IN_ORIGIN_PROCESSING, 3)


def test_a_bag_inducted_for_a_flight_that_is_cancelled_by_a_tombstone_is_delayed() -> None:
    made = itinerary(ASSIGNED_BOTH, of_bag(facts(1, Stage.INDUCTED)), of_flight(flight_news(ONWARD_FLIGHT), ONWARD))
    assert summary(made.evaluate(EARLY)) == (S.IN_TRANSFER_PROCESSING, 1)
    assert summary(told(made, of_flight(FlightNews(1, None), ONWARD))) == (S.DELAYED_OR_REROUTED, 2)


def test_a_flight_of_no_bag_changes_nothing() -> None:
    made = itinerary(ASSIGNED)
    made.evaluate(EARLY)
    assert summary(told(made, of_flight(FlightNews(9, None), ONWARD))) == (None, None)


# Notifications that are read back


def test_its_own_notification_is_no_news() -> None:
    made = itinerary(ASSIGNED, of_bag(INDUCTED))
    notice = notice_of(made.evaluate(EARLY))
    assert not made.apply(of_notification(notice.version, notice.journey_state), EARLY + HOUR)
    assert not made.apply(of_notification(0, S.CHECKED_IN), EARLY + HOUR)
    assert made.updated_at == EARLY


def test_after_a_fresh_start_no_version_comes_twice() -> None:
    made = itinerary(of_notification(3, S.IN_ORIGIN_PROCESSING), ASSIGNED, of_bag(INDUCTED))
    assert summary(made.evaluate(EARLY)) == (S.IN_ORIGIN_PROCESSING, None), "a row, but nothing new to notify"
    notice = notice_of(told(made, of_bag(LOADED)))
    assert (notice.version, notice.previous_state) == (4, S.IN_ORIGIN_PROCESSING)


def test_after_a_fresh_start_what_happened_meanwhile_is_notified_with_the_next_version() -> None:
    made = itinerary(ASSIGNED, of_bag(LOADED), of_notification(2, S.CHECKED_IN), of_notification(3, S.EXCEPTION))
    notice = notice_of(made.evaluate(EARLY))
    assert (notice.version, notice.previous_state, notice.journey_state) == (4, S.EXCEPTION, S.ON_FLIGHT)


def test_after_an_older_snapshot_the_versions_go_on_after_those_on_the_topic() -> None:
    made = itinerary(ASSIGNED, of_bag(INDUCTED))
    made.evaluate(EARLY)
    snapshot = msgspec.msgpack.encode(made)
    told(made, of_bag(LOADED))
    restored = msgspec.msgpack.decode(snapshot, type=Itinerary)
    assert restored.apply(of_notification(2, S.ON_FLIGHT), EARLY)
    assert summary(told(restored, of_bag(LOADED))) == (S.ON_FLIGHT, None)


def test_what_was_notified_otherwise_meanwhile_is_set_right() -> None:
    made = itinerary(ASSIGNED, of_bag(INDUCTED))
    made.evaluate(EARLY)
    output = told(made, of_notification(2, S.EXCEPTION))
    assert summary(output) == (None, 3)
    assert notice_of(output).journey_state is S.IN_ORIGIN_PROCESSING


# Expiry


def test_it_expires_48_hours_after_the_last_arrival() -> None:
    made = itinerary(ASSIGNED_BOTH, of_flight(flight_news()), of_flight(flight_news(ONWARD_FLIGHT), ONWARD))
    expiry = ONWARD_FLIGHT.arr_time + RETENTION
    assert made.evaluate(expiry - timedelta.resolution).wake_up == expiry
    assert not made.is_expired
    assert made.evaluate(expiry) == ItineraryOutput(wake_up=expiry + STATE_RETENTION)
    assert made.is_expired


def test_it_expires_48_hours_after_its_last_news() -> None:
    late = INBOUND_FLIGHT.arr_time + RETENTION - SECOND
    made = itinerary(ASSIGNED, of_flight(flight_news()))
    assert told(made, of_bag(INDUCTED), late).wake_up == late + RETENTION
    made.evaluate(late + RETENTION - timedelta.resolution)
    assert not made.is_expired
    made.evaluate(late + RETENTION)
    assert made.is_expired


def test_an_earlier_schedule_does_not_let_it_go_earlier() -> None:
    made = itinerary(ASSIGNED, of_flight(flight_news(flight(dep=DEPARTURE + 24 * HOUR))))
    told(made, of_flight(flight_news(offset=1)))
    made.evaluate(INBOUND_FLIGHT.arr_time + RETENTION)
    assert not made.is_expired


@pytest.mark.parametrize("known", [None, FlightNews(0, None)])
def test_a_future_flight_without_a_schedule_keeps_it(known: FlightNews | None) -> None:
    first = DEPARTURE - 30 * 24 * HOUR
    made = itinerary(ASSIGNED, now=first)
    if known:
        made.apply(of_flight(known), first)
    arrival = DEPARTURE.replace(hour=0) + timedelta(days=3)
    assert made.evaluate(first + RETENTION).wake_up == arrival + RETENTION
    assert not made.is_expired
    assert summary(told(made, of_flight(flight_news(offset=1)), DEPARTURE - HOUR)) in {
        (None, None),
        (S.CHECKED_IN, 2),
    }
    made.evaluate(arrival + RETENTION)
    assert made.is_expired


def test_a_flight_whose_id_has_no_date_does_not_keep_it() -> None:
    leg = msgspec.structs.replace(LEGS[0], flight_id="BR025|9999-99-99|LHR->AMS")
    made = itinerary(of_bag(assigned=assignment((leg,), 1)))
    assert made.evaluate(EARLY).wake_up == EARLY + RETENTION


def test_one_that_has_expired_keeps_its_version_and_takes_no_more_news() -> None:
    made = itinerary(ASSIGNED, of_bag(INDUCTED), of_flight(flight_news()))
    made.evaluate(EARLY)
    now = INBOUND_FLIGHT.arr_time + RETENTION
    made.evaluate(now)
    assert (made.bags, made.flights, made.emitted) == ({}, {}, None)
    assert made.notified == Notified(1, S.IN_ORIGIN_PROCESSING)
    for news in (of_bag(LOADED), ASSIGNED, of_flight(flight_news(offset=9))):
        assert not made.apply(news, now)
    assert made.evaluate(now) == ItineraryOutput()
    assert made.apply(of_notification(7, S.ON_FLIGHT), now)
    assert made.notified == Notified(7, S.ON_FLIGHT)
    assert made.evaluate(now) == ItineraryOutput()


def test_what_a_fresh_start_brings_back_of_an_itinerary_that_is_over_is_not_notified_again() -> None:
    made, now = Itinerary(ITINERARY), INBOUND_FLIGHT.arr_time + 5 * RETENTION
    for news in (ASSIGNED, of_bag(INDUCTED), of_flight(flight_news())):
        made.apply(msgspec.structs.replace(news, arrived=EARLY), now)
    output = made.evaluate(now)
    assert made.is_expired
    assert summary(output) == (None, None)


def test_what_is_kept_can_be_packed() -> None:
    made = itinerary(ASSIGNED_BOTH, of_bag(INDUCTED), of_flight(flight_news()), gone(0, "B2"))
    made.evaluate(EARLY)
    packed = msgspec.msgpack.encode(made)
    assert msgspec.msgpack.decode(packed, type=Itinerary) == made


def test_an_expired_itinerary_that_is_assigned_a_bag_again_lives_on_with_the_next_version() -> None:
    made = Itinerary("ITI000045")
    news = ItineraryNews(
        bag_id="BAG000123", facts=facts(0, Stage.INDUCTED), assigned=assignment_news(assignment(bags=1), offset=3)
    )
    made.apply(news, DEPARTURE)
    first = made.evaluate(DEPARTURE).notification
    assert first
    made.evaluate(DEPARTURE + 9 * RETENTION)
    assert made.is_expired
    assert not made.apply(news, DEPARTURE + 9 * RETENTION), "what it knew already does not wake it"
    again = ItineraryNews(
        bag_id="BAG000123", facts=facts(0, Stage.LOADED), assigned=assignment_news(assignment(bags=1), offset=4)
    )
    assert made.apply(again, DEPARTURE + 9 * RETENTION)
    notification = made.evaluate(DEPARTURE + 9 * RETENTION).notification
    assert notification
    assert notification.version == first.version + 1
