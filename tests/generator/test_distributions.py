"""Specification section 9: every distribution and rate, over five days of one seed.

Rates are held against a binomial with z = 4 (one false alarm in 16,000), shapes against the largest distance
between the two distribution functions (Kolmogorov-Smirnov), with the distance that each may have said beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from baggage.domain.stages import EventType
from baggage.generator import network
from baggage.generator.day import Day
from baggage.generator.distributions import Floats, lognormal, truncated_normal
from baggage.generator.journeys import EVENT_TYPES, Scans
from baggage.generator.plan import NO_FLIGHT
from tests.generator.conftest import SETTINGS

_Z = 4
Distribution = Callable[[Floats], Floats]


def assert_rate(hits: int, trials: int, rate: float) -> None:
    assert abs(hits / trials - rate) <= _Z * math.sqrt(rate * (1 - rate) / trials), f"{hits} of {trials}, not {rate}"


def truncnorm(mean: float, std: float, low: float, high: float) -> Distribution:
    cdf: Distribution = stats.truncnorm((low - mean) / std, (high - mean) / std, mean, std).cdf
    return cdf


def lognorm(p50: float, p90: float) -> Distribution:
    cdf: Distribution = stats.lognorm(math.log(p90 / p50) / stats.norm.ppf(0.9), scale=p50).cdf
    return cdf


def distance(values: Floats, cdf: Distribution) -> float:
    return float(stats.kstest(values, cdf).statistic)


def minutes(scans: Scans, kind: EventType, leg: int = 0) -> dict[int, float]:
    of_kind = (scans.code == EVENT_TYPES.index(kind)) & (scans.leg == leg)
    return dict(zip(scans.bag[of_kind].tolist(), scans.minute[of_kind].tolist(), strict=True))


def test_the_day_has_120_departures_two_an_hour_at_least_and_two_peaks(days: list[Day]) -> None:
    for day in days:
        departures = day.plan.flights[: day.plan.passengers.size]
        hourly = np.bincount([int(flight.dep // 60) for flight in departures], minlength=24)
        assert len(departures) == 120
        assert hourly.size == 24
        assert hourly.min() >= network.LEAST_AN_HOUR
        morning, noon, evening = hourly[6:10].mean(), hourly[11:14].mean(), hourly[16:20].mean()
        assert morning > noon < evening


def test_passengers_are_a_truncated_normal(days: list[Day]) -> None:
    passengers = np.concatenate([day.plan.passengers for day in days]).astype(float)
    assert passengers.min() >= 80
    assert passengers.max() <= 240
    # 600 flights: the 99.9 % quantile of the distance is 0.08; whole numbers add 0.007.
    assert distance(passengers, truncnorm(160, 30, 80, 240)) < 0.085


def test_bags_per_passenger_have_the_specified_probabilities(days: list[Day]) -> None:
    passengers = sum(int(day.plan.passengers.sum()) for day in days)
    travelling = dict.fromkeys((1, 2, 3), 0)
    for day in days:
        first_bag = np.flatnonzero(np.diff(day.plan.itinerary, prepend=-1))
        for n in travelling:
            travelling[n] += int((day.plan.bags_in_itinerary[first_bag] == n).sum())
    for n, rate in ((1, 0.55), (2, 0.25), (3, 0.05)):
        assert_rate(travelling[n], passengers, rate)
    assert_rate(passengers - sum(travelling.values()), passengers, 0.15)


def test_thirty_percent_of_itineraries_connect_at_the_hub(days: list[Day]) -> None:
    itineraries = sum(int(day.plan.itinerary[-1]) + 1 for day in days)
    connecting = sum(day.plan.connections.size for day in days)
    # Passengers come by flight: the share of those to the hub varies more than single passengers would.
    assert abs(connecting / itineraries - 0.30) < 0.01


def test_connection_times_follow_the_specified_distribution(days: list[Day]) -> None:
    connections = np.concatenate([day.plan.connections for day in days])
    assert connections.min() >= 45
    assert connections.max() <= 180
    # Onward flights leave every 15 minutes: a connection is up to 7.5 minutes from what was drawn.
    assert distance(connections, truncnorm(80, 20, 45, 180)) < 0.05
    assert abs(connections.mean() - stats.truncnorm(-1.75, 5, 80, 20).mean()) < 1.5


def test_onward_flights_are_shared_and_not_too_many(days: list[Day]) -> None:
    for day in days:
        onward = len(day.plan.flights) - day.plan.passengers.size
        assert 60 <= onward <= 110
        assert day.plan.expected_bags[day.plan.passengers.size :].min() > 0


def test_check_in_is_a_truncated_normal_before_departure(days: list[Day]) -> None:
    before = []
    for day in days:
        for bag, minute in minutes(day.journeys.scans, EventType.CHECKED_IN).items():
            before.append(day.plan.flights[day.plan.first[bag]].dep - minute)
    assert min(before) >= 60
    assert max(before) <= 240
    # 115,000 bags: sampling alone stays below 0.006.
    assert distance(np.array(before), truncnorm(120, 30, 60, 240)) < 0.008


@pytest.mark.parametrize(
    ("before", "after", "p50", "p90"),
    [
        (EventType.CHECKED_IN, EventType.INDUCTED, 5, 15),
        (EventType.INDUCTED, EventType.SCREENED_CLEARED, 3, 10),
        (EventType.SCREENED_CLEARED, EventType.MAKEUP_ARRIVED, 10, 25),
    ],
)
def test_each_step_to_makeup_is_lognormal(
    days: list[Day], before: EventType, after: EventType, p50: float, p90: float
) -> None:
    steps = []
    for day in days:
        start, end = minutes(day.journeys.scans, before), minutes(day.journeys.scans, after)
        steps += [end[bag] - start[bag] for bag in start]
    # The few bags that are rushed to a flight they would have missed take less: 5 % of the bags, 0.03 of distance.
    assert distance(np.array(steps), lognorm(p50, p90)) < 0.03
    assert np.percentile(steps, 50) == pytest.approx(p50, rel=0.05)
    assert np.percentile(steps, 90) == pytest.approx(p90, rel=0.10)


def test_most_bags_are_loaded_five_minutes_before_the_cutoff_and_all_before_departure(days: list[Day]) -> None:
    early = total = 0
    for day in days:
        for bag, minute in minutes(day.journeys.scans, EventType.LOADED_ON_AIRCRAFT).items():
            flight = day.plan.flights[day.plan.first[bag]]
            assert minute < flight.dep
            early += minute <= flight.cutoff - 5
            total += 1
    assert 0.98 < early / total < 1, "most, but not all"


def test_five_percent_of_events_are_held_back_by_two_to_six_minutes(days: list[Day]) -> None:
    for day in days:
        observed = day.observed
        held_back = (observed.ingest - observed.scans.minute)[observed.delayed]
        assert held_back.min() >= 2
        assert held_back.max() <= 6
        assert (observed.ingest - observed.scans.minute)[~observed.delayed].max() <= 3 / 60
        assert distance(held_back, stats.uniform(2, 4).cdf) < 0.02
        assert_rate(int(observed.delayed.sum()), observed.delayed.size, 0.05)


def test_two_percent_of_events_come_twice(days: list[Day]) -> None:
    for day in days:
        repeated = ~np.isnan(day.observed.repeat)
        assert_rate(int(repeated.sum()), repeated.size, 0.02)
        assert (day.observed.repeat > day.observed.ingest)[repeated].all()


def test_two_percent_of_bags_skip_exactly_one_intermediate_stage(days: list[Day]) -> None:
    missing = bags = 0
    for day in days:
        gone, made = day.observed.missing, day.journeys.scans
        assert np.unique(gone.bag).size == gone.bag.size, "one scan a bag"
        for bag, minute in zip(gone.bag.tolist(), gone.minute.tolist(), strict=True):
            times = made.minute[made.bag == bag]
            assert times.min() < minute < times.max(), "neither the first nor the last"
        missing += gone.bag.size
        bags += day.plan.first.size
        assert gone.bag.size + day.observed.scans.bag.size == made.bag.size
    assert_rate(missing, bags, 0.02)


def test_two_percent_of_transfer_bags_miss_their_connection_and_are_not_loaded_there(days: list[Day]) -> None:
    missed = transfers = 0
    for day in days:
        loaded = minutes(day.journeys.scans, EventType.LOADED_ON_AIRCRAFT, leg=1)
        connecting = set(np.flatnonzero(day.plan.second != NO_FLIGHT).tolist())
        lost = set(day.journeys.missed.tolist())
        assert connecting - lost == loaded.keys()
        for bag, minute in loaded.items():
            assert minute < day.plan.flights[day.plan.second[bag]].cutoff
        missed += len(lost)
        transfers += len(connecting)
    assert_rate(missed, transfers, 0.02)


def test_screening_alarms_are_rare(days: list[Day]) -> None:
    alarms = sum(day.journeys.alarmed.size for day in days)
    assert_rate(alarms, sum(day.plan.first.size for day in days), SETTINGS.alarm_rate)


def test_the_samplers_keep_to_their_limits_and_quantiles() -> None:
    rng = np.random.default_rng(1)
    values = truncated_normal(rng, 0, 1, 2, 2.5, 1000)
    assert values.min() >= 2
    assert values.max() <= 2.5
    assert np.percentile(lognormal(rng, 5, 15, 200_000), [50, 90]) == pytest.approx([5, 15], rel=0.02)
