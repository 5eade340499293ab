"""BagLatest in Bytewax: `python -m tests.bench.bytewax_bag_latest BROKER DIRECTORY`, in the peers' environment.

State is in memory; every 30 s what has changed is written to the recovery store in DIRECTORY, with the offsets. A bag
is let go two weeks after its last news. Dead letters are left out.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource, KafkaSourceMessage
from bytewax.dataflow import Dataflow, Stream
from bytewax.operators import StatefulLogic
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from baggage.domain.schedule import STATE_RETENTION
from baggage.provision.topics import BAG_LATEST, EVENTS
from tests.bench.bag_state import BagState, pack, unpack

CHECKPOINT_INTERVAL = timedelta(seconds=30)
# Its sink waits for the broker after every batch, so there should be few.
_BATCH = 10_000


class BagLogic(StatefulLogic[BagState, bytes, bytes]):  # type: ignore[misc]
    """One bag."""

    def __init__(self, packed: bytes | None) -> None:
        self._bag = unpack(packed) if packed else None
        self._touched = datetime.now(UTC)
        self._look_at = self._touched + STATE_RETENTION

    def on_item(self, value: BagState) -> tuple[Iterable[bytes], bool]:
        """Take what one event says."""
        before, self._touched = self._bag, datetime.now(UTC)
        self._bag = before.join(value) if before else value
        if before and self._bag.facts == before.facts:
            return (), self.RETAIN
        return (self._bag.record(),), self.RETAIN

    def on_notify(self) -> tuple[Iterable[bytes], bool]:
        """Let the bag go, unless there was news of it since."""
        self._look_at = self._touched + STATE_RETENTION
        return (), self.DISCARD if datetime.now(UTC) >= self._look_at else self.RETAIN

    def notify_at(self) -> datetime | None:
        """When to look whether it is over."""
        return self._look_at

    def snapshot(self) -> bytes | None:
        """For the recovery store."""
        return pack(self._bag) if self._bag else None


def _state(message: KafkaSourceMessage[bytes, bytes]) -> tuple[str, BagState]:
    _, appended_ms = message.timestamp
    state = BagState.of(message.key, message.value, appended_ms)
    return state.facts.newest.bag_id, state


def _message(bag: tuple[str, bytes]) -> KafkaSinkMessage[bytes, bytes]:
    bag_id, record = bag
    return KafkaSinkMessage(bag_id.encode(), record)


def bags(messages: Stream[KafkaSourceMessage[bytes, bytes]]) -> Stream[KafkaSinkMessage[bytes, bytes]]:
    """From events to records of bags."""
    records = op.stateful("join", op.map("parse", messages, _state), BagLogic)
    return op.map("record", records, _message)


def flow(broker: str) -> Dataflow:
    """The dataflow, from Kafka to Kafka."""
    dataflow = Dataflow("bag_latest")
    source = KafkaSource([broker], [EVENTS.name], batch_size=_BATCH)
    sink = KafkaSink([broker], BAG_LATEST.name, {"acks": "all", "compression.type": "lz4", "linger.ms": "20"})
    op.output("bags", bags(op.input("events", dataflow, source)), sink)
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
