"""The plan of one day: flights, passengers, bags, itineraries and connections (specification section 9)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property

import numpy as np
import numpy.typing as npt

from baggage.domain.schedule import Assignment, FlightSchedule, Leg
from baggage.generator import network
from baggage.generator.distributions import Floats, truncated_normal
from baggage.settings import GeneratorSettings

Ints = npt.NDArray[np.int64]

NO_FLIGHT = -1
# Of the passengers to the hub, this share connects; the departures to the hub are as many as that needs.
_CONNECTING_SHARE = 0.75


@dataclass(frozen=True)
class Flight:
    """A planned flight; times in minutes since midnight of the plan's day."""

    flight_id: str
    origin: str
    dest: str
    dep: float
    arr: float
    cutoff: float


@dataclass(frozen=True)
class DayPlan:
    """One day: its flights (the onward ones behind the others) and, for each bag, two flights.

    `itinerary` (n_bags,) numbers the itinerary of each bag from 0; `bags_in_itinerary` (n_bags,); `first` and
    `second` (n_bags,) index `flights`, `second` being NO_FLIGHT without a connection. `connections` (n_transfers,)
    holds the connection time in minutes of each itinerary that has one. `passengers` (n_departures,).
    """

    day: date
    seed: int
    flights: tuple[Flight, ...]
    passengers: Ints
    itinerary: Ints
    bags_in_itinerary: Ints
    first: Ints
    second: Ints
    connections: Floats

    @property
    def midnight(self) -> datetime:
        """The start of the day, UTC."""
        return datetime.combine(self.day, time(), UTC)

    def at(self, minutes: float) -> datetime:
        """The time that is `minutes` after midnight, in whole seconds."""
        return self.midnight + timedelta(seconds=round(minutes * 60))

    def bag_id(self, bag: int) -> str:
        """The id of a bag, unique over days."""
        return f"BAG{self.day:%y%m%d}{bag:06d}"

    def itinerary_id(self, bag: int) -> str:
        """The id of a bag's itinerary, unique over days."""
        return f"ITI{self.day:%y%m%d}{self.itinerary[bag]:06d}"

    def customer_id(self, bag: int) -> str:
        """The id of a bag's owner: no name, no document, just a number."""
        return f"CUST{self.day:%y%m%d}{self.itinerary[bag]:06d}"

    @cached_property
    def expected_bags(self) -> Ints:
        """(n_flights,): the bags assigned to each flight."""
        legs = np.concatenate([self.first, self.second[self.second != NO_FLIGHT]])
        return np.bincount(legs, minlength=len(self.flights))

    def schedule(self, flight: int) -> FlightSchedule:
        """The record of a flight."""
        planned = self.flights[flight]
        return FlightSchedule(
            flight_id=planned.flight_id,
            airport_origin=planned.origin,
            airport_dest=planned.dest,
            dep_time=self.at(planned.dep),
            arr_time=self.at(planned.arr),
            bag_cutoff_time=self.at(planned.cutoff),
            expected_bags=int(self.expected_bags[flight]),
        )

    def assignment(self, bag: int) -> Assignment:
        """The record of a bag's assignment."""
        legs = [self.flights[self.first[bag]]]
        if self.second[bag] != NO_FLIGHT:
            legs.append(self.flights[self.second[bag]])
        return Assignment(
            bag_id=self.bag_id(bag),
            itinerary_id=self.itinerary_id(bag),
            customer_id=self.customer_id(bag),
            bags_in_itinerary=int(self.bags_in_itinerary[bag]),
            legs=tuple(
                Leg(leg_index=index, flight_id=leg.flight_id, origin=leg.origin, dest=leg.dest)
                for index, leg in enumerate(legs)
            ),
        )


def plan_day(settings: GeneratorSettings, day: date) -> DayPlan:
    """Plan a day; the same seed and day always give the same plan."""
    rng = np.random.default_rng([settings.seed, day.toordinal(), 0])
    departures = _departures(rng, settings, day)
    passengers = np.rint(
        truncated_normal(
            rng,
            settings.passengers_mean,
            settings.passengers_std,
            settings.passengers_min,
            settings.passengers_max,
            len(departures),
        )
    ).astype(np.int64)
    flight_of_passenger = np.repeat(np.arange(len(departures)), passengers)
    bags_of_passenger = rng.choice(4, size=flight_of_passenger.size, p=settings.bags_per_passenger)
    # An itinerary is a passenger with bags.
    travels = bags_of_passenger > 0
    first, bags = flight_of_passenger[travels], bags_of_passenger[travels]
    second, onward, connections = _connect(rng, settings, day, departures, first)
    return DayPlan(
        day=day,
        seed=settings.seed,
        flights=(*departures, *onward),
        passengers=passengers,
        itinerary=np.repeat(np.arange(first.size), bags),
        bags_in_itinerary=np.repeat(bags, bags),
        first=np.repeat(first, bags),
        second=np.repeat(second, bags),
        connections=connections,
    )


def _departures(rng: np.random.Generator, settings: GeneratorSettings, day: date) -> list[Flight]:
    """The departures in order of time, spread over all hours with two peaks."""
    weights = np.array(network.HOURLY_WEIGHTS) / sum(network.HOURLY_WEIGHTS)
    least = min(network.LEAST_AN_HOUR, settings.flights // 24)
    share = (settings.flights - 24 * least) * weights
    hourly = np.floor(share).astype(np.int64)
    hourly[np.argsort(hourly - share)[: settings.flights - 24 * least - hourly.sum()]] += 1
    minutes = np.concatenate([np.sort(rng.integers(0, 60, n)) + 60 * hour for hour, n in enumerate(hourly + least)])
    hub_flights = round(settings.flights * _hub_share(settings))
    # Departures to the hub are spread evenly among the others.
    to_hub = np.diff(np.arange(settings.flights + 1) * hub_flights // settings.flights).astype(bool)
    elsewhere = [dest for dest in network.DESTINATIONS if dest not in (settings.airport, settings.hub)]
    flights = []
    for number, (dep, hub) in enumerate(zip(minutes.tolist(), to_hub.tolist(), strict=True)):
        dest = settings.hub if hub else elsewhere[int(rng.integers(len(elsewhere)))]
        block = network.BLOCK_TO_HUB if hub else network.DESTINATIONS[dest]
        airline = network.AIRLINES[number % len(network.AIRLINES)]
        flight_id = f"{airline}{100 + number:03d}|{day}|{settings.airport}->{dest}"
        flights.append(
            Flight(flight_id, settings.airport, dest, dep, dep + block, dep - settings.cutoff_before_departure_min)
        )
    return flights


def _hub_share(settings: GeneratorSettings) -> float:
    return min(settings.transfer_ratio / _CONNECTING_SHARE, 1.0)


def _connect(
    rng: np.random.Generator, settings: GeneratorSettings, day: date, departures: list[Flight], first: Ints
) -> tuple[Ints, list[Flight], Floats]:
    """Give itineraries to the hub their onward flights.

    Each draws its connection time from the specified distribution and takes the onward departure nearest to it
    that keeps the specified minimum and maximum. Onward flights leave the hub every few minutes; those that nobody
    takes are left out. Returns the onward flight of each itinerary (an index behind the departures, or NO_FLIGHT),
    the onward flights, and the connection times.
    """
    arrivals = np.array([flight.arr for flight in departures])
    to_hub = np.array([flight.dest == settings.hub for flight in departures])
    share = settings.transfer_ratio / (to_hub.sum() / len(departures)) if to_hub.any() else 0.0
    connecting = np.flatnonzero(to_hub[first] & (rng.random(first.size) < share))
    wanted = truncated_normal(
        rng,
        settings.connection_mean_min,
        settings.connection_std_min,
        settings.connection_min_min,
        settings.connection_max_min,
        connecting.size,
    )
    interval = settings.onward_interval_min
    slots = np.arange(0, 2 * 24 * 60, interval, dtype=np.float64) + rng.integers(
        0, interval // 2, 2 * 24 * 60 // interval
    )
    landed = arrivals[first[connecting]]
    slot = _nearest(slots, landed + wanted)
    slot += slots[slot] < landed + settings.connection_min_min
    slot -= slots[slot] > landed + settings.connection_max_min
    used = np.unique(slot)
    second = np.full(first.size, NO_FLIGHT)
    second[connecting] = len(departures) + np.searchsorted(used, slot)
    onward = [_onward(settings, day, int(number), float(slots[number])) for number in used]
    return second, onward, slots[slot] - landed


def _nearest(slots: Floats, wanted: Floats) -> Ints:
    after = np.clip(np.searchsorted(slots, wanted), 1, slots.size - 1)
    return np.where(wanted - slots[after - 1] <= slots[after] - wanted, after - 1, after)


def _onward(settings: GeneratorSettings, day: date, number: int, dep: float) -> Flight:
    destinations = [dest for dest in network.ONWARD_DESTINATIONS if dest != settings.hub]
    dest = destinations[number % len(destinations)]
    departure_date = day + timedelta(days=int(dep // (24 * 60)))
    # The number counts on over midnight, so that the flights of two plans never share an id.
    flight_id = f"{network.HUB_AIRLINE}{1000 + number}|{departure_date}|{settings.hub}->{dest}"
    arr = dep + network.ONWARD_DESTINATIONS[dest]
    return Flight(flight_id, settings.hub, dest, dep, arr, dep - settings.hub_cutoff_before_departure_min)
