"""What the generator injected, for scoring the detectors; never part of an event (specification section 9)."""

from __future__ import annotations

from enum import StrEnum

from baggage.domain.records import Record, Text, Time, parser


class Injection(StrEnum):
    """The imperfections and failures of section 9."""

    MISSED_CONNECTION = "MISSED_CONNECTION"
    MISSING_SCAN = "MISSING_SCAN"
    DUPLICATE = "DUPLICATE"
    DELAY = "DELAY"
    ALARM = "ALARM"
    LATE_LOAD = "LATE_LOAD"


class Truth(Record, frozen=True, kw_only=True):
    """A record of the truth topic: `subject` is the event or, for a scan that never happens, bag|leg|stage."""

    injection: Injection
    subject: Text
    bag_id: Text
    itinerary_id: Text
    flight_id: Text
    at: Time

    def key(self) -> str:
        """One record an injection, however often it is published."""
        return f"{self.injection}|{self.subject}"


parse_truth = parser(Truth)
