"""How good the detectors are, by the truth that the generator injected."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from baggage.domain.alerts import Rule
from baggage.domain.journey import JourneyState
from baggage.domain.schedule import Assignment
from baggage.domain.truth import Injection, Truth
from baggage.verify.compare import Query


@dataclass(frozen=True)
class Score:
    """Precision and recall of one detector over the cases that were injected and those that it detected."""

    detector: str
    of: str
    injected: int
    detected: int
    both: int

    def __str__(self) -> str:
        precision = f"{self.both / self.detected:.3f}" if self.detected else "-"
        recall = f"{self.both / self.injected:.3f}" if self.injected else "-"
        return (
            f"{self.detector} for {self.of}: precision {precision} ({self.both} of {self.detected} detected), "
            f"recall {recall} ({self.both} of {self.injected} injected)"
        )


def scores(query: Query, truths: Iterable[Truth], assignments: Iterable[Assignment], now: datetime) -> list[Score]:
    """Score AT_RISK and DELAYED by missed connections, MISSED_CUTOFF by bags that load late or never.

    Only what the pipeline watched counts: flights that had KPI rows before and after their cutoff, and itineraries
    that connect to such a flight.
    """
    watched = {
        row[0]
        for row in query(
            "SELECT flight_id FROM {database}.flight_kpis WHERE ts < dep_time "
            "GROUP BY flight_id HAVING min(ts) < min(bag_cutoff_time) AND max(ts) > max(bag_cutoff_time)"
        )
    }
    connecting = {
        assignment.itinerary_id
        for assignment in assignments
        if any(leg.flight_id in watched for leg in assignment.legs[1:])
    }
    happened = [truth for truth in truths if truth.at < now]
    missed = {truth.itinerary_id for truth in happened if truth.injection is Injection.MISSED_CONNECTION}
    found = []
    for state in (JourneyState.AT_RISK_FOR_CONNECTION, JourneyState.DELAYED_OR_REROUTED):
        rows = query(f"SELECT DISTINCT itinerary_id FROM {{database}}.itinerary_status WHERE journey_state = '{state}'")
        detected = {row[0] for row in rows}
        found.append(_score(state, "missed connections", missed & connecting, detected & connecting))
    late = {
        truth.flight_id for truth in happened if truth.injection in (Injection.LATE_LOAD, Injection.MISSED_CONNECTION)
    }
    rows = query(f"SELECT DISTINCT flight_id FROM {{database}}.alerts WHERE rule_id = '{Rule.MISSED_CUTOFF}'")
    alerted = {row[0] for row in rows}
    found.append(_score(Rule.MISSED_CUTOFF, "flights with a late or lost bag", late & watched, alerted & watched))
    return found


def _score(detector: str, of: str, injected: set[str], detected: set[str]) -> Score:
    return Score(detector, of, len(injected), len(detected), len(injected & detected))
