"""The state machine of a flight: its KPI rows and alerts, tick by tick (specification section 6.2; design: Flights)."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from baggage.domain.alerts import Alert, evaluate
from baggage.domain.kpis import (
    ACTIVE_BEFORE_DEPARTURE,
    KPI_INTERVAL,
    FlightKpi,
    StageCounts,
    flight_kpi,
    is_active,
    tick_at_or_after,
)
from baggage.domain.records import Count, Record, Text, Time
from baggage.domain.schedule import RETENTION, FlightNews, FlightSchedule

#: So long a flight is without a schedule before that is shown, and so often it is shown again.
UNSCHEDULED_INTERVAL = timedelta(minutes=1)


class UnscheduledFlight(Record, frozen=True, kw_only=True):
    """A row of unscheduled_flights: a flight that bags name and no schedule; `events` 0: it has one now."""

    ts: Time
    flight_id: Text
    bags: Count
    events: Count

    def key(self) -> str:
        """The flight."""
        return self.flight_id


class FlightReport(msgspec.Struct, frozen=True, kw_only=True):
    """What comes to a flight: what is known of it now, its counts and the newest record of its schedule."""

    counts: StageCounts
    news: FlightNews | None


class FlightOutput(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to emit, and when to look again. `withheld` are alerts that a backlog does not allow to raise."""

    kpis: list[FlightKpi] = []
    alerts: list[Alert] = []
    withheld: list[Alert] = []
    unscheduled: UnscheduledFlight | None = None
    wake_up: datetime | None = None


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for all flights at `now`.

    `backlog_is_read` tells whether anything may be concluded, and ticks that were missed are made up for if they are
    no older than `catch_up`: after a longer outage they would only say what was known before it.
    """

    now: datetime
    freshness_sec: int
    backlog_is_read: bool
    catch_up: timedelta


class Flight(msgspec.Struct):
    """All that is kept of a flight; a value that can be packed.

    `updated_at` is its last report, `next_tick` the next KPI row while it is active, `has_rows` whether there was one,
    `last_row_at` the row after its departure that is still due. Of a flight without a schedule `show_at` is when it is
    shown next, and `shown` how many events were shown last.
    """

    flight_id: str
    counts: StageCounts = StageCounts()
    news: FlightNews | None = None
    updated_at: datetime | None = None
    next_tick: datetime | None = None
    has_rows: bool = False
    is_departed: bool = False
    last_row_at: datetime | None = None
    show_at: datetime | None = None
    shown: int = 0

    def apply(self, report: FlightReport, conditions: Conditions) -> FlightOutput:
        """Take a report. What is due is emitted first: a tick never knows what came after it."""
        before = self.evaluate(conditions) if self.updated_at else FlightOutput()
        next_tick = tick_at_or_after(conditions.now + timedelta.resolution)
        # Joined, as what SQL holds of a schedule may expire before the flight does.
        news = max(filter(None, (self.news, report.news)), key=lambda known: known.offset, default=None)
        if news != self.news:
            # Ticks of the past are not made up for under another schedule, and no tick comes twice.
            self.next_tick = next_tick if self.has_rows else None
        is_new = (report.counts.by_stage(), news) != (self.counts.by_stage(), self.news)
        self.counts, self.news, self.updated_at = report.counts, news, conditions.now
        if is_new and (self.has_rows or report.counts.bags):
            # Where it has departed: its last row must have its late scans.
            self.last_row_at = next_tick
        after = self.evaluate(conditions)
        return FlightOutput(
            kpis=before.kpis + after.kpis,
            alerts=before.alerts + after.alerts,
            withheld=before.withheld + after.withheld,
            unscheduled=after.unscheduled or before.unscheduled,
            wake_up=after.wake_up,
        )

    def evaluate(self, conditions: Conditions) -> FlightOutput:
        """Emit what is due at `now`."""
        if self.is_expired(conditions.now):
            return FlightOutput()
        schedule = self._schedule()
        if schedule is None:
            return self._without_schedule(conditions)
        kpis = self._rows(schedule, conditions)
        alerts = [alert for kpi in kpis if is_active(schedule, kpi.ts) for alert in evaluate(kpi)]
        return FlightOutput(
            kpis=kpis,
            alerts=alerts if conditions.backlog_is_read else [],
            withheld=[] if conditions.backlog_is_read else alerts,
            unscheduled=self._show_unscheduled(0, 0, conditions),
            wake_up=self._wake_up(schedule),
        )

    def is_expired(self, now: datetime) -> bool:
        """Whether nothing more is expected of the flight, so that what is known of it can go."""
        expiry = self._expiry()
        return expiry is not None and now >= expiry

    def _expiry(self) -> datetime | None:
        """48 hours after its arrival, cancelled or not; where no schedule says when that is, after its last report."""
        schedule = self.news.schedule if self.news else None
        last = schedule.arr_time if schedule else self.updated_at
        return last + RETENTION if last else None

    def _schedule(self) -> FlightSchedule | None:
        """The schedule, None while there is none or the flight is cancelled."""
        return None if self.news is None or self.news.is_cancelled else self.news.schedule

    def _rows(self, schedule: FlightSchedule, conditions: Conditions) -> list[FlightKpi]:
        """The rows of every tick that is due: while the flight is active, and after its departure the last one."""
        now, ticks = conditions.now, []
        tick = self._first_tick(schedule, conditions)
        while tick <= now and is_active(schedule, tick):
            ticks.append(tick)
            tick += KPI_INTERVAL
        self.next_tick = tick
        self.has_rows = self.has_rows or bool(ticks)
        if now < schedule.dep_time:
            self.is_departed, self.last_row_at = False, None
        elif not self.is_departed:
            self.is_departed = True
            if self.has_rows:
                self.last_row_at = tick_at_or_after(max(schedule.dep_time, tick, now - conditions.catch_up))
        if self.last_row_at and self.last_row_at <= now:
            ticks.append(self.last_row_at)
            self.has_rows, self.last_row_at = True, None
        return [flight_kpi(schedule, self.counts, conditions.freshness_sec, tick) for tick in ticks]

    def _first_tick(self, schedule: FlightSchedule, conditions: Conditions) -> datetime:
        """The first tick that was not emitted yet; the first one of a flight is never in the past."""
        active = schedule.dep_time - ACTIVE_BEFORE_DEPARTURE
        if self.next_tick is None:
            return tick_at_or_after(max(active, conditions.now))
        return tick_at_or_after(max(active, self.next_tick, conditions.now - conditions.catch_up))

    def _wake_up(self, schedule: FlightSchedule) -> datetime:
        if not self.is_departed:
            return min(self.next_tick or schedule.dep_time, tick_at_or_after(schedule.dep_time))
        return self.last_row_at or schedule.arr_time + RETENTION

    def _without_schedule(self, conditions: Conditions) -> FlightOutput:
        """Show a flight that bags name and no schedule, when what was there at the start has been read."""
        self.last_row_at = None
        if self.news is not None:
            return FlightOutput(unscheduled=self._show_unscheduled(0, 0, conditions), wake_up=self._expiry())
        counts, shown = self.counts, None
        self.show_at = self.show_at or conditions.now + UNSCHEDULED_INTERVAL
        if conditions.now >= self.show_at:
            if conditions.backlog_is_read:
                shown = self._show_unscheduled(counts.bags, counts.events, conditions)
            self.show_at = conditions.now + UNSCHEDULED_INTERVAL
        return FlightOutput(unscheduled=shown, wake_up=self._expiry() if self.shown == counts.events else self.show_at)

    def _show_unscheduled(self, bags: int, events: int, conditions: Conditions) -> UnscheduledFlight | None:
        """The row that says so, if it says anything new."""
        if events == self.shown:
            return None
        self.shown = events
        return UnscheduledFlight(ts=conditions.now, flight_id=self.flight_id, bags=bags, events=events)
