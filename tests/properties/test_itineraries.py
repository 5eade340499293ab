"""Design: whatever comes to an itinerary, in whatever order and however often, ends in the same state."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from baggage.domain.itineraries import Itinerary, ItineraryNews, ItineraryOutput, ItineraryStatus
from baggage.domain.journey import BagJourney
from baggage.domain.notifications import parse_notification
from baggage.domain.schedule import AssignmentNews, FlightNews
from tests.properties import strategies

news = st.one_of(
    st.builds(
        ItineraryNews,
        bag_id=strategies.bag_ids,
        facts=st.none() | strategies.facts,
        assigned=st.none() | strategies.assignment_news,
    ),
    st.builds(ItineraryNews, flight_id=strategies.flight_ids, flight=strategies.flight_news),
    st.builds(ItineraryNews, notified=strategies.notified),
)


@given(
    strategies.itinerary_ids,
    st.lists(st.tuples(strategies.times, st.none() | news), min_size=1, max_size=8),
    st.booleans(),
    st.booleans(),
)
def test_whatever_comes_in_whatever_order_an_itinerary_never_fails(
    itinerary_id: str, steps: list[tuple[datetime, ItineraryNews | None]], in_order: bool, cleared: bool
) -> None:
    made, version = Itinerary(itinerary_id), 0
    for now, one in sorted(steps, key=lambda step: step[0]) if in_order else steps:
        if one:
            made.apply(msgspec.json.decode(msgspec.json.encode(one), type=ItineraryNews), now)
        version = max(version, made.notified.version)
        output = made.evaluate(now, cleared_ends_exception=cleared)
        assert output.wake_up is None or output.wake_up > now, "it would wake up for ever"
        if output.status:
            row = msgspec.json.decode(output.status.to_json(), type=ItineraryStatus)
            assert row == output.status
            msgspec.json.decode(row.details_json, type=dict[str, BagJourney])
        if output.notification:
            notice = output.notification
            assert parse_notification(notice.key().encode(), notice.to_json()) == notice
            assert notice.version == version + 1, "no version comes twice, and none is left out"
        again = made.evaluate(now, cleared_ends_exception=cleared)
        assert (again.status, again.notification) == (None, None), "what has changed is emitted once"
        packed = msgspec.msgpack.decode(msgspec.msgpack.encode(made), type=Itinerary)
        assert packed == made
        made = packed


def numbered(some: list[ItineraryNews]) -> list[ItineraryNews]:
    """The news with an offset each, since no two records have the same one."""

    def number(n: int, one: ItineraryNews) -> ItineraryNews:
        assigned = AssignmentNews(n, one.assigned.assignment) if one.assigned else None
        flight = FlightNews(n, one.flight.schedule) if one.flight else None
        return msgspec.structs.replace(one, assigned=assigned, flight=flight)

    return [number(n, one) for n, one in enumerate(some)]


@st.composite
def two_ways(draw: st.DrawFn) -> tuple[list[ItineraryNews], list[ItineraryNews]]:
    """The same news, the other time in another order and some of it again."""
    some = numbered(draw(st.lists(news, min_size=1, max_size=7)))
    return some, draw(st.permutations([*some, *draw(st.lists(st.sampled_from(some), max_size=4))]))


def applied(made: Itinerary, some: Iterable[ItineraryNews], now: datetime) -> ItineraryOutput:
    for one in some:
        made.apply(one, now)
    return made.evaluate(now)


@given(two_ways(), strategies.times)
def test_order_and_duplicates_do_not_matter(
    pair: tuple[list[ItineraryNews], list[ItineraryNews]], now: datetime
) -> None:
    one, other = Itinerary("I1"), Itinerary("I1")
    assert applied(one, pair[0], now) == applied(other, pair[1], now)
    assert one == other


@given(st.lists(news, min_size=1, max_size=7).map(numbered), strategies.times, st.integers(0, 7))
def test_what_is_read_again_after_a_restart_does_not_matter(
    some: list[ItineraryNews], now: datetime, since: int
) -> None:
    made = Itinerary("I1")
    applied(made, some, now)
    restored = msgspec.msgpack.decode(msgspec.msgpack.encode(made), type=Itinerary)
    output = applied(restored, some[since:], now)
    assert (output.status, output.notification) == (None, None)
    assert restored == made


@given(st.lists(news, min_size=1, max_size=7).map(numbered), strategies.times)
def test_a_fresh_start_ends_where_it_was_and_notifies_nothing_again(some: list[ItineraryNews], now: datetime) -> None:
    made, fresh = Itinerary("I1"), Itinerary("I1")
    output = applied(made, some, now)
    back = [ItineraryNews(notified=made.notified)] if made.notified.version else []
    again = applied(fresh, [*some, *back], now)
    assert again.notification is None
    assert again.status == output.status
    assert fresh == made
