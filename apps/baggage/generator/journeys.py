"""What happens to each bag of a plan, scan by scan, before any imperfection (specification section 9)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from baggage.domain.stages import EventType
from baggage.generator.distributions import Floats, lognormal, truncated_normal
from baggage.generator.plan import NO_FLIGHT, DayPlan, Ints
from baggage.settings import GeneratorSettings

Bools = npt.NDArray[np.bool_]

EVENT_TYPES = tuple(EventType)
_CODE = {event_type: code for code, event_type in enumerate(EVENT_TYPES)}


@dataclass(frozen=True)
class Scans:
    """Scans as columns (n_scans,): bag, leg, code of the event type, event time in minutes since midnight."""

    bag: Ints
    leg: Ints
    code: Ints
    minute: Floats

    def where(self, keep: Bools) -> Scans:
        """The scans that `keep` (n_scans,) marks."""
        return Scans(self.bag[keep], self.leg[keep], self.code[keep], self.minute[keep])


@dataclass(frozen=True)
class Journeys:
    """The scans of a day, and what was made to happen: bags that miss their connection, that alarm, that load late."""

    scans: Scans
    missed: Ints
    alarmed: Ints
    late: Ints


def travel(settings: GeneratorSettings, plan: DayPlan) -> Journeys:
    """Let every bag of the plan make its journey."""
    rng = np.random.default_rng([plan.seed, plan.day.toordinal(), 1])
    bags = np.arange(plan.first.size)
    columns: list[tuple[Ints, int, EventType, Floats]] = []
    alarmed = bags[rng.random(bags.size) < settings.alarm_rate]
    late = _origin(rng, settings, plan, bags, alarmed, columns)

    transfers = bags[plan.second != NO_FLIGHT]
    missed = transfers[rng.random(transfers.size) < settings.miss_connection_rate]
    _transfer(rng, plan, transfers, missed, columns)

    single = bags[plan.second == NO_FLIGHT]
    _arrival(rng, _of(plan, "arr", plan.first[single]), single, 0, columns)
    connected = np.setdiff1d(transfers, missed)
    _arrival(rng, _of(plan, "arr", plan.second[connected]), connected, 1, columns)

    scans = Scans(
        np.concatenate([bag for bag, _, _, _ in columns]),
        np.concatenate([np.full(bag.size, leg) for bag, leg, _, _ in columns]),
        np.concatenate([np.full(bag.size, _CODE[kind]) for bag, _, kind, _ in columns]),
        np.concatenate([minute for _, _, _, minute in columns]),
    )
    return Journeys(scans, missed, alarmed, late)


def _of(plan: DayPlan, attribute: str, flights: Ints) -> Floats:
    """An attribute of flights, as an array."""
    values = np.array([getattr(flight, attribute) for flight in plan.flights], dtype=np.float64)
    return values[flights]


def _origin(
    rng: np.random.Generator,
    settings: GeneratorSettings,
    plan: DayPlan,
    bags: Ints,
    alarmed: Ints,
    columns: list[tuple[Ints, int, EventType, Floats]],
) -> Ints:
    """From check-in to the aircraft on the first leg; return the bags that load after the cutoff."""
    dep, cutoff = _of(plan, "dep", plan.first), _of(plan, "cutoff", plan.first)
    checked_in = dep - truncated_normal(
        rng,
        settings.check_in_mean_min,
        settings.check_in_std_min,
        settings.check_in_min_min,
        settings.check_in_max_min,
        bags.size,
    )
    steps = np.vstack(
        [
            lognormal(rng, settings.induction_p50_min, settings.induction_p90_min, bags.size),
            lognormal(rng, settings.screening_p50_min, settings.screening_p90_min, bags.size),
            lognormal(rng, settings.makeup_p50_min, settings.makeup_p90_min, bags.size),
        ]
    )
    # A bag that would be late is mostly seen and rushed: its steps shrink to what is left until loading ends.
    planned_end = cutoff - settings.load_margin_min
    rushed = rng.random(bags.size) < settings.rush_rate
    last_makeup = np.where(rushed, planned_end - 2, dep - 6)
    steps *= np.minimum(1, (last_makeup - checked_in) / steps.sum(axis=0))
    inducted, cleared, makeup = checked_in + np.cumsum(steps, axis=0)
    earliest = np.maximum(makeup + 1, planned_end - 35)
    spread = earliest + rng.random(bags.size) * np.maximum(planned_end - earliest, 0)
    at_once = makeup + 1 + 2 * rng.random(bags.size)
    loaded = np.where(makeup + 1 < planned_end, spread, np.minimum(at_once, dep - 3))
    columns += [
        (bags, 0, EventType.CHECKED_IN, checked_in),
        (bags, 0, EventType.INDUCTED, inducted),
        (alarmed, 0, EventType.SCREENED_ALARM, (inducted + cleared)[alarmed] / 2),
        (bags, 0, EventType.SCREENED_CLEARED, cleared),
        (bags, 0, EventType.MAKEUP_ARRIVED, makeup),
        (bags, 0, EventType.LOADED_ON_AIRCRAFT, loaded),
    ]
    return bags[loaded > cutoff]


def _transfer(
    rng: np.random.Generator,
    plan: DayPlan,
    bags: Ints,
    missed: Ints,
    columns: list[tuple[Ints, int, EventType, Floats]],
) -> None:
    """At the hub, from the aircraft to the next one; a bag that misses its connection stops on the way."""
    landed, cutoff = _of(plan, "arr", plan.first[bags]), _of(plan, "cutoff", plan.second[bags])
    steps = np.vstack(
        [
            rng.uniform(6, 14, bags.size),  # offloaded
            rng.uniform(1, 4, bags.size),  # transfer in
            rng.uniform(1, 2, bags.size),  # reassociated
            lognormal(rng, 2, 4, bags.size),  # cleared
            lognormal(rng, 5, 10, bags.size),  # makeup
            rng.uniform(1, 10, bags.size),  # loaded
        ]
    )
    # A short connection is made by working faster.
    available = cutoff - landed - 2
    steps *= np.minimum(1, available / steps.sum(axis=0))
    minutes = landed + np.cumsum(steps, axis=0)
    made = ~np.isin(bags, missed)
    # Half of the bags that miss it are found and re-tagged, too late; the others stay where they came in.
    found = made | (rng.random(bags.size) < 0.5)
    for row, (leg, kind, there) in enumerate(
        [
            (0, EventType.OFFLOADED, np.ones(bags.size, dtype=bool)),
            (0, EventType.TRANSFER_IN, np.ones(bags.size, dtype=bool)),
            (1, EventType.REASSOCIATED_TO_NEXT_LEG, found),
            (1, EventType.SCREENED_CLEARED, found),
            (1, EventType.MAKEUP_ARRIVED, made),
            (1, EventType.LOADED_ON_AIRCRAFT, made),
        ]
    ):
        columns.append((bags[there], leg, kind, minutes[row][there]))


def _arrival(
    rng: np.random.Generator, landed: Floats, bags: Ints, leg: int, columns: list[tuple[Ints, int, EventType, Floats]]
) -> None:
    """At the destination, from the aircraft to the carousel."""
    offloaded = landed + rng.uniform(8, 18, bags.size)
    carousel = offloaded + rng.uniform(5, 15, bags.size)
    columns += [(bags, leg, EventType.OFFLOADED, offloaded), (bags, leg, EventType.CAROUSEL_ARRIVED, carousel)]
