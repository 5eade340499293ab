"""Design, "State is a join": order, duplicates, replays and restarts cannot change the result."""

from __future__ import annotations

from datetime import timedelta
from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from baggage.domain.bags import BagState, bag_state
from baggage.domain.events import BaggageEvent
from baggage.domain.journey import BagJourney, JourneyState, itinerary_state
from baggage.domain.kpis import KPI_INTERVAL, StageCounts, tick_at_or_after
from baggage.domain.stages import EventType, Stage
from tests.builders import DEPARTURE, event

events = st.builds(
    event,
    kind=st.sampled_from(EventType),
    leg=st.integers(0, 1),
    at=st.integers(0, 600).map(lambda minutes: DEPARTURE + timedelta(minutes=minutes)),
    scan_point=st.sampled_from(["A", "B", "C"]),
)
some_events = st.lists(events, min_size=1, max_size=12)


@given(some_events.flatmap(lambda some: st.tuples(st.just(some), st.permutations(some))))
def test_order_does_not_matter(pair: tuple[list[BaggageEvent], list[BaggageEvent]]) -> None:
    assert bag_state(pair[0]) == bag_state(pair[1])


@given(some_events.flatmap(lambda some: st.tuples(st.just(some), st.lists(st.sampled_from(some)))))
def test_duplicates_do_not_matter(pair: tuple[list[BaggageEvent], list[BaggageEvent]]) -> None:
    assert bag_state([*pair[0], *pair[1]]) == bag_state(pair[0])


@given(some_events, st.integers(1, 11))
def test_a_restart_anywhere_does_not_matter(some: list[BaggageEvent], cut: int) -> None:
    parts = [part for part in (some[:cut], some[cut:]) if part]
    assert reduce(BagState.join, map(bag_state, parts)) == bag_state(some)


@given(some_events, st.integers(0, 11))
def test_a_replay_from_anywhere_does_not_matter(some: list[BaggageEvent], since: int) -> None:
    assert bag_state([*some, *some[since:]]) == bag_state(some)


@given(some_events, events)
def test_a_bag_only_moves_forward(some: list[BaggageEvent], one: BaggageEvent) -> None:
    before, after = bag_state(some), bag_state([*some, one])
    assert after.position >= before.position
    assert after.last_seen >= before.last_seen
    assert after.alarm >= before.alarm


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(Stage)), max_size=40))
def test_counts_kept_up_to_date_are_the_counts_of_a_recount(moves: list[tuple[int, Stage]]) -> None:
    counts, stages = StageCounts(), dict[int, Stage]()
    for bag, stage in moves:
        before = stages.get(bag, Stage.EXPECTED)
        stages[bag] = max(before, stage)
        counts.move(before, stages[bag])
    for stage in list(Stage)[1:]:
        assert counts.reached(stage) == sum(reached >= stage for reached in stages.values())


@given(
    st.dictionaries(
        st.sampled_from("ABCDE"), st.builds(BagJourney, st.sampled_from(JourneyState), st.integers(0, 2)), min_size=1
    )
)
def test_the_order_of_bags_does_not_matter_to_an_itinerary(bags: dict[str, BagJourney]) -> None:
    backwards = dict(reversed(bags.items()))
    assert itinerary_state("I", "C", 5, bags) == itinerary_state("I", "C", 5, backwards)


@given(st.integers(0, 10**9))
def test_a_tick_is_never_early_and_never_an_interval_late(milliseconds: int) -> None:
    when = DEPARTURE + timedelta(milliseconds=milliseconds)
    assert timedelta() <= tick_at_or_after(when) - when < KPI_INTERVAL
    assert tick_at_or_after(when).timestamp() % KPI_INTERVAL.total_seconds() == 0
