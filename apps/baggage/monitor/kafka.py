"""Asks Kafka: what each job has still to read, and how full the brokers' disks are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import kafka
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]  # re-exported without saying so

from baggage.jobs.names import JOB_NAMES
from baggage.monitor.samples import TIMEOUT, Component, Measure, Sample
from baggage.settings import KafkaSettings


def samples(settings: KafkaSettings) -> Iterator[Sample]:
    """The samples of topics and brokers. Raises KafkaException or kafka.errors.KafkaError."""
    yield from _lags(AdminClient({"bootstrap.servers": settings.bootstrap_servers, "log_level": 0}))
    yield from _disks(settings)


def _lags(admin: AdminClient) -> Iterator[Sample]:
    groups = [admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(name)]) for name in JOB_NAMES]
    committed = {
        name: [read for read in group[name].result(TIMEOUT).topic_partitions if read.offset >= 0]
        for name, group in zip(JOB_NAMES, groups, strict=True)
    }
    every = {TopicPartition(read.topic, read.partition) for reads in committed.values() for read in reads}
    latest: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    ends = admin.list_offsets(dict.fromkeys(every, latest)) if every else {}
    end = {(partition.topic, partition.partition): ends[partition].result(TIMEOUT).offset for partition in ends}
    for name, reads in committed.items():
        lags: dict[str, int] = defaultdict(int)
        for read in reads:
            lags[read.topic] += max(end[read.topic, read.partition] - read.offset, 0)
        for topic, lag in lags.items():
            yield Sample(Measure.LAG, lag, {"flink_job": name, "topic": topic})


def _disks(settings: KafkaSettings) -> Iterator[Sample]:
    """Of confluent-kafka's admin client has no request for this; that of kafka-python has."""
    admin = kafka.KafkaAdminClient(
        bootstrap_servers=settings.bootstrap_servers.split(","), request_timeout_ms=int(TIMEOUT * 1000)
    )
    try:
        brokers = admin.describe_log_dirs()
    finally:
        admin.close()
    sizes: dict[str, int] = defaultdict(int)
    for broker in brokers:
        for directory in broker["log_dirs"]:
            for topic in directory["topics"]:
                sizes[topic["name"]] += sum(partition["partition_size"] for partition in topic["partitions"])
            total, usable = directory["total_bytes"], directory["usable_bytes"]
            labels = {"component": Component.KAFKA.value, "disk": f"broker {broker['broker']}"}
            yield Sample(Measure.DISK_USED, 1 - usable / total, labels)
    for topic, size in sizes.items():
        yield Sample(Measure.TOPIC_SIZE, size, {"topic": topic})
