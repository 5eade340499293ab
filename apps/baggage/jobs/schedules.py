"""The broadcast state of flight schedules that two jobs share (specification sections 6.2 and 6.3)."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from pyflink.common import Types
from pyflink.datastream.state import BroadcastState, MapStateDescriptor, ReadOnlyBroadcastState

from baggage.domain.records import RecordError
from baggage.domain.schedule import FlightSchedule, parse_schedule
from baggage.jobs.sources import KafkaRecord

SCHEDULES = MapStateDescriptor("schedules", Types.STRING(), Types.PICKLED_BYTE_ARRAY())

_decode = msgspec.json.Decoder(FlightSchedule).decode


class ScheduleBook:
    """The schedules of the broadcast state, decoded; read from it once and then kept up to date beside it."""

    def __init__(self) -> None:
        self._flights: dict[str, FlightSchedule] | None = None

    def read(self, state: Callable[[], ReadOnlyBroadcastState]) -> Callable[[str], FlightSchedule | None]:
        """The look-up of a flight's schedule."""
        return self._known(state).get

    def apply(self, record: KafkaRecord, state: BroadcastState) -> RecordError | None:
        """Take a record of flight.schedule.v1; a tombstone deletes. Return what is wrong with a bad one."""
        known = self._known(lambda: state)
        if record.value is None:
            state.remove(record.key_text)
            known.pop(record.key_text, None)
            return None
        try:
            flight = parse_schedule(record.key, record.value)
        except RecordError as error:
            return error
        state.put(flight.flight_id, record.value)
        known[flight.flight_id] = flight
        return None

    def _known(self, state: Callable[[], ReadOnlyBroadcastState]) -> dict[str, FlightSchedule]:
        if self._flights is None:
            self._flights = {flight_id: _decode(packed) for flight_id, packed in state().items()}
        return self._flights
