"""Design, "Everything on a topic is a fact that can be joined": order, duplicates, replays and restarts."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import reduce

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from baggage.domain.bags import BagFacts, bag_facts, bag_latest, parse_bag_latest, time_text
from baggage.domain.events import BaggageEvent
from baggage.domain.stages import EventType, Stage
from tests.builders import DEPARTURE, event
from tests.properties import strategies

KINDS = st.sampled_from([*EventType, EventType.LOADED_ON_AIRCRAFT, EventType.OFFLOADED])
#: Few of each, so that there are ties.
close_events = st.builds(
    event,
    kind=KINDS,
    leg=st.integers(0, 1),
    at=st.integers(0, 5).map(lambda seconds: DEPARTURE + timedelta(seconds=seconds)),
    scan_point=st.sampled_from(["A", "A!", "B", "\uffff", "\U0001f9f3"]),
    flight_id=st.sampled_from(["", "BR02|2026-01-04|LHR->AMS", "BR025A|2026-01-04|LHR->AMS"]),
    airport=st.sampled_from(["", "LHR", "AMS"]),
)
some_events = st.lists(close_events, min_size=1, max_size=10)
any_event = st.one_of(close_events, strategies.events)
latest_times = st.none() | strategies.times


def texts(facts: BagFacts) -> dict[str, bytes | None]:
    """The text of each fact, in the bytes that Flink compares."""
    return {
        "reached": facts.reached.text().encode(),
        "newest": facts.newest.text().encode(),
        "loaded": facts.loaded.text().encode() if facts.loaded else None,
        "removed": facts.removed.text().encode() if facts.removed else None,
        "alarmed": time_text(facts.alarmed).encode() if facts.alarmed else None,
        "cleared": time_text(facts.cleared).encode() if facts.cleared else None,
    }


@given(some_events.flatmap(lambda some: st.tuples(st.just(some), st.permutations(some))))
def test_order_does_not_matter(pair: tuple[list[BaggageEvent], list[BaggageEvent]]) -> None:
    assert bag_facts(pair[0]) == bag_facts(pair[1])


@given(some_events.flatmap(lambda some: st.tuples(st.just(some), st.lists(st.sampled_from(some)))))
def test_duplicates_do_not_matter(pair: tuple[list[BaggageEvent], list[BaggageEvent]]) -> None:
    assert bag_facts([*pair[0], *pair[1]]) == bag_facts(pair[0])


@given(some_events, st.integers(1, 9))
def test_a_restart_anywhere_does_not_matter(some: list[BaggageEvent], cut: int) -> None:
    parts = [part for part in (some[:cut], some[cut:]) if part]
    assert reduce(BagFacts.join, map(bag_facts, parts)) == bag_facts(some)


@given(some_events, st.integers(0, 9))
def test_a_replay_from_anywhere_does_not_matter(some: list[BaggageEvent], since: int) -> None:
    assert bag_facts([*some, *some[since:]]) == bag_facts(some)


@given(strategies.facts, strategies.facts, strategies.facts)
def test_facts_are_joined_to_the_least_upper_bound(one: BagFacts, other: BagFacts, third: BagFacts) -> None:
    joined = one.join(other)
    assert joined == other.join(one)
    assert one.join(one) == one
    assert joined.join(one) == joined.join(other) == joined
    assert joined.join(third) == one.join(other.join(third))


@given(some_events, close_events)
def test_no_fact_goes_back(some: list[BaggageEvent], one: BaggageEvent) -> None:
    before, after = texts(bag_facts(some)), texts(bag_facts([*some, one]))
    for fact, text in before.items():
        assert text is None or text <= (after[fact] or b""), fact


@given(some_events)
def test_a_bag_never_goes_back_behind_makeup_and_only_where_it_was_taken_off(some: list[BaggageEvent]) -> None:
    facts = bag_facts(some)
    if facts.stage is not facts.reached.stage:
        assert facts.stage is Stage.MAKEUP
        assert facts.removed


@given(any_event, any_event, latest_times)
def test_the_greatest_text_is_the_text_of_the_join(
    one: BaggageEvent, other: BaggageEvent, latest: datetime | None
) -> None:
    first, second = BagFacts.of(one, latest), BagFacts.of(other, latest)
    joined = texts(first.join(second))
    for fact, text in texts(first).items():
        candidates = [candidate for candidate in (text, texts(second)[fact]) if candidate is not None]
        assert joined[fact] == max(candidates, default=None), fact


@given(strategies.facts, strategies.facts)
def test_the_greatest_text_is_the_text_of_the_join_for_any_facts(one: BagFacts, other: BagFacts) -> None:
    joined = texts(one.join(other))
    for fact, text in texts(one).items():
        candidates = [candidate for candidate in (text, texts(other)[fact]) if candidate is not None]
        assert joined[fact] == max(candidates, default=None), fact


@given(any_event, strategies.times)
def test_no_fact_is_later_than_the_latest_time(one: BaggageEvent, latest: datetime) -> None:
    facts = BagFacts.of(one, latest)
    moments = [facts.newest.last_event_time, facts.alarmed, facts.cleared]
    moments += [fact.time for fact in (facts.loaded, facts.removed) if fact]
    assert all(moment is None or moment <= latest for moment in moments)


@given(st.lists(any_event, min_size=1, max_size=5), strategies.times, strategies.times)
def test_the_record_of_a_bag_brings_its_facts_to_whoever_reads_it(
    some: list[BaggageEvent], arrived: datetime, now: datetime
) -> None:
    facts = bag_facts(some)
    record = bag_latest(facts, arrived, now)
    again = parse_bag_latest(record.key().encode(), record.to_json())
    assert again == record
    assert again.facts == facts
    assert again.stage == facts.stage.name
    assert msgspec.json.decode(msgspec.json.encode(facts), type=BagFacts) == facts
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(facts), type=BagFacts) == facts
