"""Design, "Journey state of a bag": whatever is known, the rules answer, and only deadlines change the answer."""

from __future__ import annotations

from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from baggage.domain.bags import BagFacts
from baggage.domain.itineraries import itinerary_state
from baggage.domain.journey import BagJourney, Journey, JourneyState
from baggage.domain.kpis import KPI_INTERVAL, StageCounts, tick_at_or_after
from baggage.domain.schedule import Assignment, FlightNews
from baggage.domain.stages import Stage
from tests.properties import strategies

known_flights = st.dictionaries(strategies.flight_ids, strategies.flight_news, max_size=4)
some_facts = st.none() | strategies.facts


@given(strategies.assignments, some_facts, known_flights, strategies.times, st.booleans())
def test_the_rules_always_answer(
    assigned: Assignment, facts: BagFacts | None, flights: dict[str, FlightNews], now: datetime, cleared: bool
) -> None:
    journey = Journey(assigned.legs, facts, flights.get, cleared_ends_exception=cleared)
    where = journey.at(now)
    assert where.journey_state is journey.state(now)
    assert where.flight_id in {leg.flight_id for leg in assigned.legs}
    deadline = journey.next_deadline(now)
    assert deadline is None or deadline > now


@given(strategies.assignments, some_facts, known_flights, strategies.times, st.floats(0, 1))
def test_nothing_changes_before_the_next_deadline(
    assigned: Assignment, facts: BagFacts | None, flights: dict[str, FlightNews], now: datetime, part: float
) -> None:
    journey = Journey(assigned.legs, facts, flights.get)
    if now == strategies.LAST:
        return
    deadline = journey.next_deadline(now) or strategies.LAST
    # A deadline is a millisecond after the instant at which the rules may change.
    between = max(now, now + (deadline - now) * part - KPI_INTERVAL / 10_000)
    assert journey.at(between) == journey.at(now) or journey.next_deadline(now) != journey.next_deadline(between)


@given(
    st.dictionaries(
        st.sampled_from("ABCDE"), st.builds(BagJourney, st.sampled_from(JourneyState), st.integers(0, 2)), min_size=1
    )
)
def test_the_order_of_bags_does_not_matter_to_an_itinerary(bags: dict[str, BagJourney]) -> None:
    backwards = dict(reversed(bags.items()))
    assert itinerary_state("I", "C", 5, bags) == itinerary_state("I", "C", 5, backwards)


@given(st.lists(st.sampled_from(Stage)))
def test_no_later_stage_has_more_bags_than_an_earlier_one(stages: list[Stage]) -> None:
    counts = StageCounts.of(stages)
    in_order = [counts.bags, counts.checked_in, counts.inducted, counts.cleared, counts.makeup, counts.loaded]
    assert in_order == sorted(in_order, reverse=True)
    assert counts == StageCounts.of(reversed(stages))


@given(strategies.times)
def test_a_tick_is_never_early_and_never_an_interval_late(when: datetime) -> None:
    assert when <= tick_at_or_after(when) < when + KPI_INTERVAL
    assert tick_at_or_after(when).timestamp() % KPI_INTERVAL.total_seconds() == 0
