"""Whether the jobs' conclusions followed from what had happened (design: Nothing is concluded from a backlog).

A conclusion is an alert, or a notification of a state that depends on time. Its own time is exact, since the rules are
evaluated at it. What was known of the world then is not: an event that has happened is processed a little later, for
each bag apart, but never earlier. So every state is tried that a bag may have been known in between `slack` before the
conclusion and the conclusion itself; and if none explains it, it is not justified.

An event has happened by its ingest time, or by when the broker appended it if that is earlier. So events that are
published late, by a generator that starts at noon, had happened all the same: concluding without them is what a job
must not do. A job that runs cannot know of them, though, if it had read everything before: see `Feed.may_be_late`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate, product
from typing import NamedTuple

from baggage.domain.alerts import Alert, evaluate
from baggage.domain.backlog import QUIET
from baggage.domain.bags import BagFacts
from baggage.domain.itineraries import WORST_FIRST
from baggage.domain.journey import JourneyState
from baggage.domain.kpis import KPI_INTERVAL, StageCounts, flight_kpi, is_active, tick_at_or_after
from baggage.domain.notifications import Notification
from baggage.domain.schedule import Assignment, FlightNews
from baggage.domain.stages import Stage
from baggage.verify.oracle import Oracle, Seen
from baggage.verify.outputs import Outputs

#: How late a record may be processed, in real time.
PROCESSING = timedelta(seconds=15)
#: How late a KPI row is that does not come at once, in real time: a restart takes longer.
AT_ONCE = timedelta(seconds=3)
#: The states that may come without any news.
TIME_DEPENDENT = frozenset({JourneyState.AT_RISK_FOR_CONNECTION, JourneyState.DELAYED_OR_REROUTED})

#: The states of a bag; None: it is of another itinerary, which is no worse than any state.
_States = set[JourneyState | None]
_RANK: dict[JourneyState | None, int] = {state: rank for rank, state in enumerate((*WORST_FIRST, None))}

When = Callable[[Seen], datetime]


class Tick(NamedTuple):
    """The rows of a KPI tick: their least and greatest freshness in seconds, and when the last one was inserted."""

    freshest: int
    stalest: int
    inserted_at: datetime


Ticks = Mapping[datetime, Tick]


@dataclass(frozen=True)
class Unjustified:
    """A conclusion that does not follow from what had happened at its time, and what did follow."""

    key: str
    at: datetime
    concluded: str
    follows: str


def happened(seen: Seen) -> datetime:
    """When an event had happened by all clocks."""
    return seen.happened


def appended(seen: Seen) -> datetime:
    """When the broker appended an event."""
    return seen.appended


class Feed:
    """How the events came, and by its ticks whether FlightKpiAlert ran meanwhile; all in the pipeline's time."""

    def __init__(self, events: Iterable[Seen], ticks: Ticks, speed: float) -> None:
        self.slack = PROCESSING * speed
        self._at_once, self._quiet = AT_ONCE * speed, QUIET * speed
        self._ticks = ticks
        self._appends: list[datetime] = []
        self._live: list[datetime] = []
        for seen in events:
            self._appends.append(seen.appended)
            if seen.happened >= seen.appended - self.slack:
                self._live.append(seen.appended)
        self._appends.sort()
        self._live.sort()

    def may_be_late(self, at: datetime) -> bool:
        """Whether a job may at this time have concluded from what was on the topic, though more had happened.

        It may if the feed had caught up at some time before, and the jobs ran ever since: what is late then is not a
        backlog of theirs. And it may if it has run, and nothing has come, for so long that a backlog counts as read.
        """
        last, live = _last(self._appends, at), _last(self._live, at)
        if (last is None or last <= at - self._quiet) and self.ran(at - self._quiet, at):
            return True
        return live is not None and self.ran(live, at)

    def ran(self, since: datetime, until: datetime) -> bool:
        """Whether every tick was emitted in time. One that is made up for has the freshness of when that was done.

        The last ones are left out: they may not be in the table yet.
        """
        tick = tick_at_or_after(since)
        while tick < until - self.slack:
            if tick not in self._ticks or self._is_stale(tick):
                return False
            tick += KPI_INTERVAL
        return True

    def is_disturbed(self, tick: datetime) -> bool:
        """Whether rows of a tick may have been lost in a restart: it has none, or they came late, or those of the next.

        What is lost is made again with the counts of then, or not at all after a long outage.
        """
        return any(
            one not in self._ticks or self._ticks[one].inserted_at > one + self._at_once
            for one in (tick, tick + KPI_INTERVAL)
        )

    def _is_stale(self, tick: datetime) -> bool:
        """Whether rows of a tick did not know of what was appended before it, or knew of what came after it."""
        last = _last(self._appends, tick)
        if last is None:
            return False
        stale = (tick - last).total_seconds()
        return any(
            abs(seconds - stale) > self.slack.total_seconds()
            for seconds in (self._ticks[tick].freshest, self._ticks[tick].stalest)
        )


def feed(oracle: Oracle, ticks: Ticks) -> Feed:
    """The feed of all events."""
    return Feed((seen for events in oracle.seen.values() for seen in events), ticks, oracle.clock.speed)


def conclusions(outputs: Outputs) -> tuple[list[Notification], list[Alert]]:
    """What the jobs concluded from the time, each once."""
    notifications = {
        (one.notification_id, one.created_at): one
        for of_itinerary in outputs.notifications.values()
        for one in of_itinerary
        if one.journey_state in TIME_DEPENDENT
    }
    alerts = {(alert.alert_id, alert.now): alert for alert in outputs.alerts}
    return list(notifications.values()), list(alerts.values())


def unjustified(oracle: Oracle, outputs: Outputs, came: Feed) -> list[Unjustified]:
    """The conclusions that are not justified, by time."""
    notifications, alerts = conclusions(outputs)
    found = [*_of_notifications(oracle, notifications, came), *_of_alerts(oracle, alerts, came)]
    return sorted(found, key=lambda one: (one.at, one.key))


def _of_notifications(oracle: Oracle, notifications: list[Notification], came: Feed) -> Iterator[Unjustified]:
    for one in notifications:
        at, state = one.created_at, one.journey_state
        bags = _bag_states(oracle, one.itinerary_id, at, came.slack, happened)
        if _may_be(state, bags) or (
            came.may_be_late(at) and _may_be(state, _bag_states(oracle, one.itinerary_id, at, came.slack, appended))
        ):
            continue
        follows = "; ".join(
            f"{bag_id} {' or '.join(sorted(state or 'of another itinerary' for state in states))}"
            for bag_id, states in bags.items()
        )
        yield Unjustified(one.notification_id, at, state.value, follows or "no bags")


def _may_be(state: JourneyState, bags: Mapping[str, _States]) -> bool:
    """Whether the worst of the bags may have been in a state: one was, and of no other only worse states follow."""
    return any(state in states for states in bags.values()) and all(
        any(_RANK[other] >= _RANK[state] for other in states) for states in bags.values()
    )


def _bag_states(oracle: Oracle, itinerary_id: str, at: datetime, slack: timedelta, when: When) -> dict[str, _States]:
    """By bag that was ever assigned to an itinerary: the states that it may have been known in at a time."""
    bags: dict[str, _States] = {}
    for bag_id in sorted(oracle.assigned.get(itinerary_id, ())):
        views = list(_views(oracle.seen.get(bag_id, []), at, slack, when))
        states = bags.setdefault(bag_id, set())
        for news in oracle.assignments[bag_id].between(at - slack, at):
            assignment = news.assignment
            if assignment is None or assignment.itinerary_id != itinerary_id:
                states.add(None)
                continue
            for flights, facts in product(_flight_views(oracle, assignment, at, slack), views):
                states.add(oracle.journey(assignment, facts, flights.get).state(at))
    return bags


def _views(seen: Iterable[Seen], at: datetime, slack: timedelta, when: When) -> Iterator[BagFacts | None]:
    """What may have been known of a bag: all that is older than `slack`, and then event by event."""
    facts: BagFacts | None = None
    recent: list[Seen] = []
    for one in seen:
        if when(one) <= at - slack:
            facts = facts.join(one.facts) if facts else one.facts
        elif when(one) <= at:
            recent.append(one)
    yield facts
    for one in sorted(recent, key=when):
        facts = facts.join(one.facts) if facts else one.facts
        yield facts


def _flight_views(
    oracle: Oracle, assignment: Assignment, at: datetime, slack: timedelta
) -> Iterator[dict[str, FlightNews]]:
    """What may have been known of the flights of a bag."""
    known = {
        leg.flight_id: oracle.flights[leg.flight_id].between(at - slack, at)
        for leg in assignment.legs
        if leg.flight_id in oracle.flights
    }
    for news in product(*known.values()):
        yield dict(zip(known, news, strict=True))


def _of_alerts(oracle: Oracle, alerts: list[Alert], came: Feed) -> Iterator[Unjustified]:
    by_flight: dict[str, list[Alert]] = {}
    for alert in alerts:
        by_flight.setdefault(alert.flight_id, []).append(alert)
    for flight_id, of_flight in by_flight.items():
        loaded = _SurelyLoaded(oracle, flight_id, came.slack, happened)
        on_topic: _SurelyLoaded | None = None
        for alert in of_flight:
            if _follows(oracle, alert, loaded, came.slack):
                continue
            if came.may_be_late(alert.now):
                on_topic = on_topic or _SurelyLoaded(oracle, flight_id, came.slack, appended)
                if _follows(oracle, alert, on_topic, came.slack):
                    continue
            follows = f"at least {loaded.at(alert.now)} bags loaded"
            yield Unjustified(f"{alert.alert_id} at {alert.now:%T}", alert.now, f"{alert.loaded} bags loaded", follows)


class _SurelyLoaded:
    """How many bags of a flight must be known as loaded: those that were for all of the last `slack`."""

    def __init__(self, oracle: Oracle, flight_id: str, slack: timedelta, when: When) -> None:
        changes = sorted(
            change
            for bag_id in oracle.on_flights.get(flight_id, ())
            for change in _loading_changes(
                [one for one in oracle.seen[bag_id] if one.facts.newest.flight_id == flight_id], slack, when
            )
        )
        self._times = [time for time, _ in changes]
        self._bags = [0, *accumulate(bags for _, bags in changes)]

    def at(self, time: datetime) -> int:
        """The number of bags at a time."""
        return self._bags[bisect_right(self._times, time)]


def _loading_changes(seen: list[Seen], slack: timedelta, when: When) -> Iterator[tuple[datetime, int]]:
    """When a bag is first known for sure as loaded (1), and may be known as removed again (-1)."""
    facts: BagFacts | None = None
    since: datetime | None = None
    for one in sorted(seen, key=when):
        facts = facts.join(one.facts) if facts else one.facts
        if facts.stage >= Stage.LOADED:
            since = since or when(one)
        elif since:
            if since + slack < when(one):
                yield since + slack, 1
                yield when(one), -1
            since = None
    if since:
        yield since + slack, 1


def _follows(oracle: Oracle, alert: Alert, loaded: _SurelyLoaded, slack: timedelta) -> bool:
    """Whether an alert follows from the fewest bags that may have been known as loaded."""
    history = oracle.flights.get(alert.flight_id)
    counts = StageCounts(loaded=loaded.at(alert.now))
    schedules = [
        news.schedule
        for news in (history.between(alert.now - slack, alert.now) if history else [])
        if news.schedule and not news.is_cancelled
    ]
    return any(
        raised.rule_id is alert.rule_id
        for schedule in schedules
        if is_active(schedule, alert.now)
        for raised in evaluate(flight_kpi(schedule, counts, 0, alert.now))
    )


def _last(times: list[datetime], until: datetime) -> datetime | None:
    """The last of some sorted times up to a time."""
    index = bisect_right(times, until)
    return times[index - 1] if index else None
