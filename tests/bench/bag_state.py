"""What the peers keep of a bag, by the rules of BagLatest: the joined facts of its events, and when the newest came."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from baggage.domain.bags import BagFacts, bag_latest
from baggage.domain.events import parse_event


class BagState(msgspec.Struct, frozen=True, array_like=True):
    """The state of one bag; a value that can be packed."""

    facts: BagFacts
    arrived: datetime

    @classmethod
    def of(cls, key: bytes | None, value: bytes | None, appended_ms: int) -> BagState:
        """What one event says, which the broker appended at that Unix time. Raises `RecordError`."""
        event, appended = parse_event(key, value), datetime.fromtimestamp(appended_ms / 1000, UTC)
        return cls(BagFacts.of(event, appended), min(event.ingest_time, appended))

    def join(self, other: BagState) -> BagState:
        """What both say together."""
        return BagState(self.facts.join(other.facts), max(self.arrived, other.arrived))

    def record(self) -> bytes:
        """The record for baggage.bag.latest.v1."""
        return bag_latest(self.facts, self.arrived, datetime.now(UTC)).to_json()


pack = msgspec.msgpack.Encoder().encode
unpack = msgspec.msgpack.Decoder(BagState).decode
