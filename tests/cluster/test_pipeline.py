"""The whole path in the cluster: what is provisioned, what runs, and what arrives."""

from __future__ import annotations

import re

from baggage.cluster.commands import NAMESPACE, kubectl
from baggage.jobs.names import JOB_NAMES
from baggage.provision.schema import migrations, views
from baggage.provision.topics import TOPICS
from baggage.settings import Settings
from tests.cluster.cluster import (
    DATABASE,
    Clone,
    clickhouse,
    completed_checkpoints,
    jobs,
    pods_of,
    verify,
    wait_until,
    wait_until_good,
)


def test_the_topics_have_the_declared_policies() -> None:
    tools = "/opt/kafka/bin"
    where = ("exec", "-n", NAMESPACE, "kafka-0", "--")
    described = kubectl(*where, f"{tools}/kafka-topics.sh", "--bootstrap-server", "localhost:9092", "--describe")
    for topic in TOPICS:
        line = re.search(rf"Topic: {re.escape(topic.name)}\s.*PartitionCount: (\d+).*Configs: (\S*)", described)
        assert line, f"{topic.name} is not there"
        assert int(line[1]) == topic.partitions
        config = dict(pair.split("=", 1) for pair in re.split(r",(?=[a-z.]+=)", line[2]))
        assert topic.config(Settings().kafka.disk_bytes).items() <= config.items()


def test_the_schema_is_applied() -> None:
    sql = "\n".join([*(migration.sql for migration in migrations()), views()])
    wanted = set(re.findall(r"CREATE (?:TABLE IF NOT EXISTS|OR REPLACE VIEW) \{database\}\.(\w+)", sql))
    with clickhouse() as client:
        there = {row[0] for row in client.query(f"SHOW TABLES FROM {DATABASE}").result_rows}
        applied = {row[0] for row in client.query("SELECT name FROM schema_migrations").result_rows}
    assert wanted
    assert wanted <= there
    assert applied == {migration.name for migration in migrations()}


def test_three_jobs_run_and_complete_checkpoints() -> None:
    running = jobs()
    assert running.keys() == set(JOB_NAMES)
    for job_id, _ in running.values():
        wait_until(lambda job_id=job_id: completed_checkpoints(job_id) > 0, "a checkpoint")  # type: ignore[misc]


def test_rows_arrive_through_the_whole_path() -> None:
    with clickhouse() as client:

        def count(table: str, condition: str = "1") -> int:
            return int(client.command(f"SELECT count() FROM {table} WHERE {condition}"))  # type: ignore[arg-type]

        wait_until(lambda: count("flight_kpis", "ts > now() - INTERVAL 30 SECOND"), "KPI rows of this half minute")
        for table in ("alerts", "itinerary_status", "notifications", "bag_latest"):
            wait_until(lambda table=table: count(table), f"rows of {table}")  # type: ignore[misc]


def test_with_a_paused_generator_there_is_no_difference(clone: Clone) -> None:
    clone.append("overlays/dev/generator/kustomization.yaml", "replicas:\n  - name: generator\n    count: 0\n")
    revision = clone.push("Pause the generator")
    wait_until_good(clone.components(), revision)
    wait_until(lambda: not pods_of("generator"), "the end of the generator")
    print(verify("verify-paused"))
