"""What is ill says so, in one sentence, and heals: faults injected into the running pipeline."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from confluent_kafka import Producer

from baggage.jobs.names import BAG_LATEST as BAG_LATEST_JOB
from baggage.jobs.names import FLIGHT_KPI_ALERT, ITINERARY_STATUS, JOB_NAMES
from baggage.jobs.rest import FlinkRest
from baggage.local.processes import Process
from baggage.provision.topics import BAG_LATEST
from baggage.settings import read_settings
from tests.e2e.conftest import Pipeline, SettingsAt, running, wait_until

#: Seconds; what README promises.
HEALED_WITHIN = 120
#: A bound of a minute, an interval of measurements, and what a slow machine adds.
SAID_WITHIN = 120
#: A lag that lasts for three minutes is compared with that of before.
FALLEN_BEHIND_WITHIN = 360
#: Records; in the view pipeline_findings.
ALLOWED_LAG = 1000


NOT_RUNNING = """
SELECT countIf(newest = 0)
FROM (
    SELECT argMax(value, ts) AS newest
    FROM {database}.pipeline_health WHERE measure = 'job_running' GROUP BY labels
)
"""


def wait_for_findings(pipeline: Pipeline, *starts: str, timeout: float) -> list[str]:
    """Wait until these are the findings, in order, by how they start, and return them."""
    found: list[str] = []

    def found_them() -> bool:
        found[:] = pipeline.findings()
        return len(found) == len(starts) and all(map(str.startswith, found, starts))

    try:
        wait_until(found_them, timeout)
    except AssertionError as late:
        raise AssertionError(f"within {timeout} s: expected {starts}, found {found}") from late
    return found


def all_run(flink: FlinkRest) -> bool:
    live = list(flink.live_jobs())
    return len(live) == len(JOB_NAMES) and all(flink.all_tasks_run(job.job_id) for job in live)


@contextmanager
def stopped(process: Process) -> Iterator[None]:
    """The process stands still."""
    os.killpg(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGCONT)


@contextmanager
def no_volume(pipeline: Pipeline) -> Iterator[None]:
    """What checkpoints are written to is away: a file is in its place, which stops root, too."""
    snapshots = Path(urlsplit(pipeline.settings.flink.state_dir).path)
    away = snapshots.rename(snapshots.with_name("away"))
    snapshots.touch()
    try:
        yield
    finally:
        snapshots.unlink()
        away.rename(snapshots)


LAG_IS_KNOWN = f"""
SELECT count()
FROM {{database}}.pipeline_health
WHERE measure = 'lag_records' AND labels = map('flink_job', '{ITINERARY_STATUS}', 'topic', '{BAG_LATEST.name}')
"""
MOST_UNREAD = "SELECT max(value) FROM {database}.pipeline_health WHERE measure = 'lag_records'"


def flood(pipeline: Pipeline) -> None:
    """Write more records for a job to read than it is allowed to leave unread, and than it had to read at its start."""
    ((most_unread,),) = pipeline.query(MOST_UNREAD)
    assert isinstance(most_unread, float)
    producer = Producer({"bootstrap.servers": pipeline.settings.kafka.bootstrap_servers})
    for number in range(2 * ALLOWED_LAG + int(most_unread)):
        producer.produce(BAG_LATEST.name, None, f"gone{number}")
    producer.flush()


def test_what_is_ill_says_so_and_heals(settings_at: SettingsAt, monkeypatch: pytest.MonkeyPatch) -> None:
    # A proxy that must not be asked for this machine: nobody is at that port.
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    read_settings()
    with running(settings_at("12:00", speed=1)) as pipeline:
        flink = FlinkRest(pipeline.settings.flink.rest_url)
        wait_until(lambda: all_run(flink), what="the jobs to run")
        assert pipeline.query("SELECT count() FROM {database}.pipeline_health") != [(0,)]
        assert pipeline.findings() == [], "a start is no fault"

        for job in list(flink.live_jobs()):
            flink.cancel(job)
        wait_until(lambda: all_run(flink), HEALED_WITHIN, "all cancelled jobs to be back")
        wait_until(lambda: pipeline.query(NOT_RUNNING) == [(0,)], what="the monitor to see it")

        with stopped(pipeline.keeper):
            # Of a job that has not completed a checkpoint yet no lag is known.
            wait_until(lambda: pipeline.query(LAG_IS_KNOWN) != [(0,)], what="the lag to be measured")
            (itinerary_status,) = (job for job in flink.live_jobs() if job.name == ITINERARY_STATUS)
            flink.cancel(itinerary_status)
            down = f"{ITINERARY_STATUS} is not running since "
            (said,) = wait_for_findings(pipeline, down, timeout=SAID_WITHIN)
            assert said.endswith(": CANCELED")
            flood(pipeline)
            behind = f"{ITINERARY_STATUS} falls behind on {BAG_LATEST.name}: "
            without = [f"{name} has completed no checkpoint for " for name in (BAG_LATEST_JOB, FLIGHT_KPI_ALERT)]
            with no_volume(pipeline):
                wait_for_findings(pipeline, down, behind, *without, timeout=FALLEN_BEHIND_WITHIN)
        wait_for_findings(pipeline, timeout=HEALED_WITHIN)

        os.killpg(pipeline.runtime.flink.task_managers[0].pid, signal.SIGKILL)
        restarts = (f"{name} was restarted " for name in sorted(JOB_NAMES))
        wait_for_findings(pipeline, *restarts, timeout=SAID_WITHIN)

        with stopped(pipeline.monitor):
            wait_for_findings(pipeline, "nothing was measured since ", timeout=SAID_WITHIN)
        with stopped(pipeline.runtime.flink.job_manager):
            wait_until(
                lambda: any(finding.startswith("Flink does not answer since ") for finding in pipeline.findings()),
                SAID_WITHIN,
                "the silent server to be named",
            )
