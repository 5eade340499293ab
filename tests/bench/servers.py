"""The servers of the laptop runtime one by one, for measurements that need only some of them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from baggage.local import kafka_broker
from baggage.local.flink_cluster import FlinkCluster
from baggage.local.processes import Process, ProcessError
from baggage.provision.kafka import create_topics
from baggage.settings import Settings

_READY_TIMEOUT = 180


@contextmanager
def broker(settings: Settings, directory: Path) -> Iterator[tuple[Process, Settings]]:
    """A Kafka broker with the topics, keeping its data in `directory`, and the settings to reach it."""
    local = settings.local
    process = kafka_broker.broker_process(
        directory / "kafka", directory / "logs", local.jar_dir.resolve(), local.kafka_port, local.kafka_port + 1
    )
    kafka = settings.kafka.model_copy(update={"bootstrap_servers": f"{kafka_broker.HOST}:{local.kafka_port}"})
    process.start()
    try:
        process.wait_until(lambda: kafka_broker.answers_metadata(local.kafka_port), _READY_TIMEOUT)
        create_topics(kafka)
        yield process, settings.model_copy(update={"kafka": kafka})
    finally:
        process.stop()


@contextmanager
def flink(settings: Settings, directory: Path) -> Iterator[tuple[FlinkCluster, Settings]]:
    """A Flink cluster that keeps its files in `directory`, and the settings to reach it."""
    local = settings.local
    cluster = FlinkCluster(
        directory / "flink", directory / "logs", local.jar_dir.resolve(), local.flink_port, local.task_managers
    )
    for process in cluster.processes:
        process.start()
    try:
        cluster.job_manager.wait_until(cluster.all_slots_are_there, _READY_TIMEOUT)
        reached = settings.flink.model_copy(update={"rest_url": cluster.rest_url, "state_dir": cluster.snapshots})
        yield cluster, settings.model_copy(update={"flink": reached})
    finally:
        for process in cluster.processes:
            process.stop()


def client_environment(cluster: FlinkCluster, settings: Settings) -> dict[str, str]:
    """The environment in which a program of ours finds the servers of these settings."""
    return {**os.environ, **cluster.environment, **settings.environment()}


def submit(module: str, environment: Mapping[str, str], directory: Path) -> None:
    """Run a program of ours that submits a job. Raises ProcessError, with its log, where it fails."""
    process = Process("submit", [sys.executable, "-m", module], directory / "logs" / "submit.log", environment)
    process.start()
    while process.alive():
        time.sleep(0.1)
    if process.returncode:
        raise ProcessError(f"{module} was not submitted:\n{process.log_tail()}")
