"""BagLatest in Bytewax: `python -m tests.bench.bytewax_bag_latest BROKER DIRECTORY`, in the peers' environment.

State is in memory; every 30 s what has changed is written to the recovery store in DIRECTORY, with the offsets. A bag
is let go 48 hours after its last news, with a tombstone. Dead letters are left out.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource, KafkaSourceMessage
from bytewax.dataflow import Dataflow
from bytewax.operators import StatefulLogic
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from baggage.domain.bags import Bag, pack_bag, unpack_bag
from baggage.domain.events import BaggageEvent, parse_event
from baggage.domain.schedule import RETENTION
from baggage.provision.topics import BAG_LATEST, EVENTS

CHECKPOINT_INTERVAL = timedelta(seconds=30)
# Its sink waits for the broker after every batch, so there should be few.
_BATCH = 10_000


class BagLogic(StatefulLogic[BaggageEvent, bytes | None, bytes]):  # type: ignore[misc]
    """One bag."""

    def __init__(self, packed: bytes | None) -> None:
        self._bag = unpack_bag(packed) if packed else Bag()
        self._expiry = self._bag.expiry() or datetime.now(UTC) + RETENTION

    def on_item(self, value: BaggageEvent) -> tuple[Iterable[bytes | None], bool]:
        """Take one event."""
        if self._bag.has_seen(value):
            return (), self.RETAIN
        latest = self._bag.take(value, datetime.now(UTC))
        return (() if latest is None else (latest.to_json(),)), self.RETAIN

    def on_notify(self) -> tuple[Iterable[bytes | None], bool]:
        """Let the bag go, unless there was news of it since."""
        now = datetime.now(UTC)
        self._expiry = self._bag.expiry() or now + RETENTION
        return ((), self.RETAIN) if now < self._expiry else ((None,), self.DISCARD)

    def notify_at(self) -> datetime | None:
        """When to look whether it is over."""
        return self._expiry

    def snapshot(self) -> bytes:
        """For the recovery store."""
        return pack_bag(self._bag)


def _event(message: KafkaSourceMessage[bytes, bytes]) -> tuple[str, BaggageEvent]:
    event = parse_event(message.key, message.value)
    return event.bag_id, event


def _message(bag: tuple[str, bytes | None]) -> KafkaSinkMessage[bytes, bytes | None]:
    bag_id, record = bag
    return KafkaSinkMessage(bag_id.encode(), record)


def flow(broker: str) -> Dataflow:
    """The dataflow."""
    dataflow = Dataflow("bag_latest")
    source = KafkaSource([broker], [EVENTS.name], batch_size=_BATCH)
    sink = KafkaSink([broker], BAG_LATEST.name, {"acks": "all", "compression.type": "lz4", "linger.ms": "20"})
    events = op.map("parse", op.input("events", dataflow, source), _event)
    records = op.stateful("join", events, BagLogic)
    op.output("bags", op.map("record", records, _message), sink)
    return dataflow


def main() -> None:
    """Run until it is ended."""
    broker, directory = sys.argv[1], Path(sys.argv[2])
    directory.mkdir(parents=True, exist_ok=True)
    if not any(directory.iterdir()):
        init_db_dir(directory, 1)
    cli_main(flow(broker), epoch_interval=CHECKPOINT_INTERVAL, recovery_config=RecoveryConfig(str(directory)))


if __name__ == "__main__":
    main()
