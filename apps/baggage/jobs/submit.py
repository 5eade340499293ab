"""Brings the three jobs to this version on a Flink session cluster; safe to run again and again.

A job that runs this version is left alone. One of another version is stopped with a savepoint and started from it. A
job that is not there is started from its newest checkpoint or savepoint, or afresh.
"""

from __future__ import annotations

import hashlib
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import structlog
from pyflink.common import Configuration
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.java_gateway import get_gateway
from pyflink.table import StreamTableEnvironment

from baggage import jobs as jobs_package
from baggage.jobs import bag_latest, flight_kpi_alert, itinerary_status
from baggage.settings import Settings

Build = Callable[[StreamTableEnvironment, Settings], None]
JOBS: dict[str, Build] = {
    bag_latest.NAME: bag_latest.build,
    flight_kpi_alert.NAME: flight_kpi_alert.build,
    itinerary_status.NAME: itinerary_status.build,
}

T = TypeVar("T")

_TIMEOUT = 120
_LIVE = {"INITIALIZING", "CREATED", "RUNNING", "RESTARTING", "FAILING"}
_VERSION = "baggage.version"

logger = structlog.get_logger()


class SubmitError(RuntimeError):
    """A job could not be brought to this version."""


@dataclass(frozen=True)
class RunningJob:
    """A job that the cluster keeps alive."""

    job_id: str
    name: str
    version: str


class FlinkRest:
    """The parts of Flink's REST interface that submitting needs."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def get(self, path: str) -> dict[str, Any]:
        """GET a resource as JSON. Raises SubmitError where Flink cannot be reached."""
        return self._call(urllib.request.Request(self._url + path))  # noqa: S310 (the configured address)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """POST JSON. Raises SubmitError where Flink cannot be reached."""
        return self._call(
            urllib.request.Request(  # noqa: S310 (the configured address)
                self._url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
            )
        )

    def _call(self, request: urllib.request.Request) -> dict[str, Any]:
        try:
            with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
                answer: dict[str, Any] = json.load(response)
                return answer
        except urllib.error.HTTPError as error:
            raise SubmitError(f"Flink refuses {request.full_url}: {error.read(500)!r}") from error
        except OSError as error:
            raise SubmitError(
                f"no Flink at {self._url} (BAGGAGE_FLINK__REST_URL): {getattr(error, 'reason', error)}"
            ) from error

    def live_jobs(self) -> Iterator[RunningJob]:
        """The jobs of ours that the cluster keeps alive."""
        for job in self.get("/jobs/overview")["jobs"]:
            if job["name"] in JOBS and job["state"] in _LIVE:
                config = self.get(f"/jobs/{job['jid']}/config").get("execution-config", {})
                yield RunningJob(job["jid"], job["name"], config.get("user-config", {}).get(_VERSION, ""))

    def running_jobs(self) -> int:
        """How many of our jobs process records at this moment."""
        return sum(job["name"] in JOBS and job["state"] == "RUNNING" for job in self.get("/jobs/overview")["jobs"])

    def stop_with_savepoint(self, job: RunningJob, directory: str) -> str:
        """Stop a job and return the path of its savepoint. Raises SubmitError if it fails."""
        trigger = self.post(f"/jobs/{job.job_id}/stop", {"targetDirectory": directory, "drain": False})["request-id"]

        def status() -> str | None:
            answer = self.get(f"/jobs/{job.job_id}/savepoints/{trigger}")
            if answer["status"]["id"] != "COMPLETED":
                return None
            operation = answer["operation"]
            if "failure-cause" in operation:
                raise SubmitError(f"savepoint of {job.name} failed: {operation['failure-cause']['class']}")
            location: str = operation["location"]
            return location

        return _wait(status, f"the savepoint of {job.name}")


def version(settings: Settings) -> str:
    """What makes a job the same: the code of this package and the settings that the jobs read."""
    digest = hashlib.sha256()
    package = Path(jobs_package.__file__).parents[1]
    for part in ("domain", "jobs", "provision/topics.py", "clock.py"):
        path = package / part
        for file in sorted(path.glob("*.py")) if path.is_dir() else [path]:
            digest.update(file.read_bytes())
    digest.update(settings.model_dump_json(include={"clock", "kafka", "clickhouse", "flink"}).encode())
    return digest.hexdigest()[:12]


def submit_all(settings: Settings) -> dict[str, str]:
    """Bring all jobs to this version and wait until they run; return their ids by name."""
    rest, this = FlinkRest(settings.flink.rest_url), version(settings)
    running = {job.name: job for job in rest.live_jobs()}
    submitted: dict[str, str] = {}
    for name, build in JOBS.items():
        job = running.get(name)
        if job and job.version == this:
            logger.info("job is up to date", job=name, version=this)
            submitted[name] = job.job_id
            continue
        savepoint = (
            rest.stop_with_savepoint(job, _directory(settings, name)) if job else newest_snapshot(settings, name)
        )
        submitted[name] = _start(name, build, savepoint, this, settings)
        logger.info("job is submitted", job=name, version=this, job_id=submitted[name], restored_from=savepoint)
    for name, job_id in submitted.items():
        _wait(partial(_all_tasks_run, rest, job_id), f"{name} to run")
    return submitted


def stop_all(settings: Settings) -> dict[str, str]:
    """Stop the jobs that run, each with a savepoint; return the savepoints by name. Raises SubmitError if one fails."""
    rest = FlinkRest(settings.flink.rest_url)
    with ThreadPoolExecutor() as pool:
        stops = {
            job.name: pool.submit(rest.stop_with_savepoint, job, _directory(settings, job.name))
            for job in rest.live_jobs()
        }
        return {name: stop.result() for name, stop in stops.items()}


def newest_snapshot(settings: Settings, name: str) -> str | None:
    """The newest complete checkpoint or savepoint of a job, or None.

    Only a local or mounted directory can be searched; on other storage Flink's own recovery must hold the jobs.
    """
    directory = urlsplit(_directory(settings, name))
    if directory.scheme != "file":
        return None
    complete = Path(directory.path).glob("**/_metadata")
    newest = max(complete, key=lambda file: file.stat().st_mtime, default=None)
    return None if newest is None else f"file://{newest.parent}"


def _directory(settings: Settings, name: str) -> str:
    """Where the checkpoints and savepoints of a job are; one folder a job, as job ids change."""
    return f"{settings.flink.state_dir.rstrip('/')}/{name}"


def job_configuration(name: str, savepoint: str | None, this: str, settings: Settings) -> dict[str, str]:
    """The Flink configuration of one job (specification section 6, common settings)."""
    interval_ms = int(settings.flink.checkpoint_interval.total_seconds() * 1000)
    configuration = {
        "pipeline.name": name,
        "pipeline.global-job-parameters": f"{_VERSION}:{this}",
        "pipeline.object-reuse": "true",
        "parallelism.default": str(settings.flink.parallelism),
        "python.execution-mode": "thread",
        "state.backend.type": "rocksdb",
        "execution.checkpointing.interval": f"{interval_ms} ms",
        "execution.checkpointing.dir": _directory(settings, name),
        "execution.checkpointing.incremental": "true",
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "table.exec.source.idle-timeout": f"{int(settings.flink.idleness.total_seconds() * 1000)} ms",
        "table.local-time-zone": "UTC",
    }
    if savepoint:
        configuration["execution.state-recovery.path"] = savepoint
    return configuration


def _start(name: str, build: Build, savepoint: str | None, this: str, settings: Settings) -> str:
    configuration = Configuration()
    for key, value in (job_configuration(name, savepoint, this, settings) | settings.flink.job_options).items():
        configuration.set_string(key, value)
    address = urlsplit(settings.flink.rest_url)
    gateway = get_gateway()
    no_jars = gateway.new_array(gateway.jvm.String, 0)
    j_env = gateway.jvm.org.apache.flink.streaming.api.environment.StreamExecutionEnvironment.createRemoteEnvironment(
        address.hostname, address.port or 80, configuration._j_configuration, no_jars
    )
    env = StreamExecutionEnvironment(j_env)
    build(StreamTableEnvironment.create(env), settings)
    return str(env.execute_async(name).get_job_id())


def _all_tasks_run(rest: FlinkRest, job_id: str) -> bool | None:
    job = rest.get(f"/jobs/{job_id}")
    if job["state"] in ("FAILED", "CANCELED"):
        raise SubmitError(f"{job['name']} is {job['state']}: see {rest.get(f'/jobs/{job_id}/exceptions')}"[:2000])
    return all(vertex["status"] == "RUNNING" for vertex in job["vertices"]) or None


def _wait(condition: Callable[[], T | None], what: str) -> T:
    deadline = time.monotonic() + _TIMEOUT
    while time.monotonic() < deadline:
        result = condition()
        if result is not None:
            return result
        time.sleep(0.2)
    raise SubmitError(f"waited {_TIMEOUT} s for {what}")
