"""What goes wrong with the scans of a day: missing, late and doubled ones, with the truth about each (section 9)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from baggage.domain.stages import EventType
from baggage.generator.distributions import Floats
from baggage.generator.journeys import EVENT_TYPES, Bools, Journeys, Scans
from baggage.generator.plan import DayPlan
from baggage.settings import GeneratorSettings

_NO_STAGE = (EventType.SCREENED_ALARM, EventType.TRANSFER_IN, EventType.REASSOCIATED_TO_NEXT_LEG)


@dataclass(frozen=True)
class Observed:
    """The scans as the readers report them, in order of event time.

    `ingest` (n_scans,): ingest time in minutes since midnight; `delayed` (n_scans,) marks those held back;
    `repeat` (n_scans,): when the same record comes again, NaN for never. `missing` are the scans that never come.
    """

    scans: Scans
    ingest: Floats
    delayed: Bools
    repeat: Floats
    missing: Scans


def observe(settings: GeneratorSettings, plan: DayPlan, journeys: Journeys) -> Observed:
    """Apply the imperfections to the journeys of a day."""
    rng = np.random.default_rng([plan.seed, plan.day.toordinal(), 2])
    scans, missing = _drop_scans(rng, settings, journeys.scans)
    size = scans.minute.size
    ingest = scans.minute + rng.uniform(1, 3, size) / 60
    delayed = rng.random(size) < settings.out_of_order_rate
    delay = rng.uniform(settings.out_of_order_min_min, settings.out_of_order_max_min, size)
    ingest = np.where(delayed, scans.minute + delay, ingest)
    doubled = rng.random(size) < settings.duplicate_rate
    repeat = np.where(doubled, ingest + rng.uniform(1, 60, size) / 60, np.nan)
    return Observed(scans, ingest, delayed, repeat, missing)


def _drop_scans(rng: np.random.Generator, settings: GeneratorSettings, scans: Scans) -> tuple[Scans, Scans]:
    """Let some bags lose exactly one scan of a stage between their first and their last."""
    order = np.lexsort((scans.minute, scans.bag))
    scans = Scans(scans.bag[order], scans.leg[order], scans.code[order], scans.minute[order])
    has_stage = ~np.isin(scans.code, [EVENT_TYPES.index(kind) for kind in _NO_STAGE])
    staged = np.flatnonzero(has_stage)
    _, first, count = np.unique(scans.bag[staged], return_index=True, return_counts=True)
    loses = (rng.random(first.size) < settings.missing_scan_rate) & (count > 2)
    pick = first + 1 + np.floor(rng.random(first.size) * np.maximum(count - 2, 1)).astype(np.int64)
    gone = np.zeros(scans.bag.size, dtype=bool)
    gone[staged[pick[loses]]] = True
    kept = scans.where(~gone)
    in_time = np.argsort(kept.minute, kind="stable")
    return Scans(kept.bag[in_time], kept.leg[in_time], kept.code[in_time], kept.minute[in_time]), scans.where(gone)
