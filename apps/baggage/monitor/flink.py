"""Asks Flink: does each job run, how often was it restarted, and when did it last complete a checkpoint."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from baggage.jobs.names import JOB_NAMES
from baggage.jobs.rest import FlinkError, FlinkRest
from baggage.monitor.samples import Measure, Sample

_NOT_THERE = "not submitted"


def samples(flink: FlinkRest) -> Iterator[Sample]:
    """The samples of the three jobs. Raises FlinkError."""
    newest: dict[str, dict[str, Any]] = {}
    for job in sorted(flink.get("/jobs/overview")["jobs"], key=lambda job: int(job["start-time"])):
        newest[job["name"]] = job
    for name in JOB_NAMES:
        yield from _of_job(flink, name, newest.get(name))


def unknown(reason: str) -> Iterator[Sample]:
    """What is said of the jobs while Flink does not answer."""
    for name in JOB_NAMES:
        yield Sample(Measure.JOB_RUNNING, 0, {"flink_job": name}, reason)


def _of_job(flink: FlinkRest, name: str, job: dict[str, Any] | None) -> Iterator[Sample]:
    labels = {"flink_job": name}
    if job is None:
        yield Sample(Measure.JOB_RUNNING, 0, labels, _NOT_THERE)
        return
    state, tasks = job["state"], job["tasks"]
    if state == "RUNNING" and tasks["running"] < tasks["total"]:
        state = f"{tasks['running']} of {tasks['total']} tasks run"
    yield Sample(Measure.JOB_RUNNING, int(state == "RUNNING"), labels, state)
    # Of a job that is just being made, or has just ended, Flink knows no more than that.
    with suppress(FlinkError):
        yield from _details(flink, job, labels)


def _details(flink: FlinkRest, job: dict[str, Any], labels: dict[str, str]) -> Iterator[Sample]:
    path = f"/jobs/{job['jid']}"
    restarts = {metric["id"]: metric["value"] for metric in flink.get(f"{path}/metrics?get=numRestarts")}
    yield Sample(Measure.JOB_RESTARTS, float(restarts.get("numRestarts", 0)), labels, _last_failure(flink, path))
    completed = flink.get(f"{path}/checkpoints").get("latest", {}).get("completed")
    since = completed["latest_ack_timestamp"] if completed else job["start-time"]
    if job["end-time"] == -1:
        yield Sample(Measure.CHECKPOINT_AGE, max(time.time() - since / 1000, 0), labels)
    if completed:
        yield Sample(Measure.CHECKPOINT_DURATION, completed["end_to_end_duration"] / 1000, labels)
        yield Sample(Measure.CHECKPOINT_SIZE, completed["state_size"], labels)


def _last_failure(flink: FlinkRest, path: str) -> str:
    entries = flink.get(f"{path}/exceptions?maxExceptions=1").get("exceptionHistory", {}).get("entries", [])
    if not entries:
        return ""
    # The last cause says what happened; those around it say where.
    lines = str(entries[0]["stacktrace"]).splitlines()
    causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    return (causes[-1] if causes else lines[0])[:300]
