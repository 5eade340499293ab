"""BagLatest in Quix Streams: `python -m tests.bench.quix_bag_latest BROKER DIRECTORY`, in the peers' environment.

State is in RocksDB in DIRECTORY and on a changelog topic; every 30 s both are flushed and the offsets committed. A bag
is let go two weeks after its last news. Dead letters are left out.
"""

from __future__ import annotations

import sys
from uuid import uuid4

from quixstreams import Application, State

from baggage.domain.schedule import STATE_RETENTION
from baggage.provision.topics import BAG_LATEST, EVENTS
from tests.bench.bag_state import BagState, pack, unpack

CHECKPOINT_SECONDS = 30


def take(value: bytes, key: bytes, appended_ms: int, _headers: object, state: State[str, bytes]) -> list[bytes]:
    """Take one event: the record of its bag, if it has changed."""
    news = BagState.of(key, value, appended_ms)
    packed = state.get_bytes("bag")
    before = unpack(packed) if packed else None
    bag = before.join(news) if before else news
    if bag == before:
        return []
    state.set_bytes("bag", pack(bag), ttl=STATE_RETENTION)
    return [] if before and bag.facts == before.facts else [bag.record()]


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
