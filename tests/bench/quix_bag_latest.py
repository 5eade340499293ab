"""BagLatest in Quix Streams: `python -m tests.bench.quix_bag_latest BROKER DIRECTORY`, in the peers' environment.

State is in RocksDB in DIRECTORY and on a changelog topic; every 30 s both are flushed and the offsets committed. A bag
is let go 48 hours after its last news, without a tombstone, as there are no timers. Dead letters are left out.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from uuid import uuid4

from quixstreams import Application, State

from baggage.domain.bags import Bag, pack_bag, unpack_bag
from baggage.domain.events import parse_event
from baggage.domain.schedule import RETENTION
from baggage.provision.topics import BAG_LATEST, EVENTS

CHECKPOINT_SECONDS = 30


def take(value: bytes, key: bytes, _timestamp: int, _headers: object, state: State[str, bytes]) -> list[bytes]:
    """Take one event."""
    event = parse_event(key, value)
    packed = state.get_bytes("bag")
    bag = unpack_bag(packed) if packed else Bag()
    if bag.has_seen(event):
        return []
    latest = bag.take(event, datetime.now(UTC))
    state.set_bytes("bag", pack_bag(bag), ttl=RETENTION)
    return [] if latest is None else [latest.to_json()]


def main() -> None:
    """Run until it is ended."""
    broker, directory = sys.argv[1], sys.argv[2]
    application = Application(
        broker,
        consumer_group=f"quix-{uuid4()}",
        auto_offset_reset="earliest",
        commit_interval=CHECKPOINT_SECONDS,
        state_dir=directory,
        producer_extra_config={"acks": "all", "compression.type": "lz4", "linger.ms": 20},
    )
    events = application.topic(EVENTS.name, key_deserializer="bytes", value_deserializer="bytes")
    bags = application.topic(BAG_LATEST.name, key_serializer="bytes", value_serializer="bytes")
    records = application.dataframe(events).apply(take, stateful=True, expand=True, metadata=True)
    records.to_topic(bags)
    application.run()


if __name__ == "__main__":
    main()
