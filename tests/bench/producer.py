"""The producer of the benchmarks' records."""

from __future__ import annotations

from collections.abc import Callable

from confluent_kafka import KafkaError, Message, Producer

from baggage.settings import KafkaSettings


def producer(kafka: KafkaSettings, linger_ms: int) -> Producer:
    """An idempotent producer that says nothing of a broker that was stopped."""
    return Producer(
        {
            "bootstrap.servers": kafka.bootstrap_servers,
            "enable.idempotence": True,
            "compression.type": "lz4",
            "linger.ms": linger_ms,
            "batch.num.messages": 10_000,
            "queue.buffering.max.messages": 200_000,
            "log_level": 0,
        }
    )


#: Is called when the broker has a record, or has refused it.
Delivered = Callable[[KafkaError | None, Message], None]


def produce(producer: Producer, topic: str, key: str, value: bytes, delivered: Delivered | None = None) -> None:
    """Hand over one record, waiting while the queue is full."""
    while True:
        try:
            producer.produce(topic, value, key, on_delivery=delivered)
        except BufferError:
            producer.poll(0.1)
        else:
            return
