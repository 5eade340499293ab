"""What the dashboards and alert rules must know of the domain, so that no number of a rule is written twice."""

from __future__ import annotations

from datetime import timedelta

from baggage.domain.alerts import LOW_LOAD_BEFORE_CUTOFF, LOW_LOAD_PERCENT
from baggage.domain.journey import BUFFER, TRANSFER_P90, JourneyState
from baggage.domain.kpis import ACTIVE_BEFORE_DEPARTURE, KPI_INTERVAL
from baggage.domain.stages import Stage

_MINUTE, _HOUR, _SECOND = timedelta(minutes=1), timedelta(hours=1), timedelta(seconds=1)


def facts() -> dict[str, object]:
    """The external variable `facts` of the Jsonnet files; durations are numbers in the unit of their name."""
    return {
        "stages": [stage.name for stage in Stage],
        "loaded": Stage.LOADED.name,
        "troubled": [
            JourneyState.AT_RISK_FOR_CONNECTION,
            JourneyState.EXCEPTION,
            JourneyState.DELAYED_OR_REROUTED,
        ],
        "activeHours": ACTIVE_BEFORE_DEPARTURE // _HOUR,
        "lowLoadMinutes": LOW_LOAD_BEFORE_CUTOFF // _MINUTE,
        "lowLoadPercent": LOW_LOAD_PERCENT,
        "connectionMinutes": (TRANSFER_P90 + BUFFER) // _MINUTE,
        "kpiIntervalSeconds": KPI_INTERVAL // _SECOND,
    }
