"""What the peers keep of a bag, in one value: its state, and the ids of its events of the last 48 hours."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from baggage.domain.bags import BagState, bag_latest
from baggage.domain.events import BaggageEvent
from baggage.domain.schedule import RETENTION


class Bag(msgspec.Struct, array_like=True):
    """A bag. `seen`: event id (eight bytes of it, as BagLatest keeps them) to the second it came, in that order."""

    state: BagState | None = None
    touched: datetime | None = None
    seen: dict[int, int] = {}

    def take(self, event: BaggageEvent, now: datetime) -> bytes | None:
        """Join an event; return the record to say, if the state has changed."""
        second, event_id = int(now.timestamp()), _short(event.event_id)
        self._forget(second - int(RETENTION.total_seconds()))
        if event_id in self.seen:
            return None
        self.seen[event_id] = second
        state = BagState.of(event)
        if self.state is not None:
            state = self.state.join(state)
            if state == self.state:
                return None
        self.state, self.touched = state, now
        return bag_latest(event.bag_id, state, now).to_json()

    def _forget(self, second: int) -> None:
        while self.seen:
            oldest = next(iter(self.seen))
            if self.seen[oldest] > second:
                return
            del self.seen[oldest]


def _short(event_id: UUID) -> int:
    return int.from_bytes(event_id.bytes[8:], signed=True)


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Bag).decode
