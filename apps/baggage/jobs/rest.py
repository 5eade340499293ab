"""Flink's REST interface, as far as submitting and watching the jobs needs it."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from baggage.jobs.names import JOB_NAMES

#: The job parameter that holds a job's version.
VERSION_PARAMETER = "baggage.version"

_LIVE = {"INITIALIZING", "CREATED", "RUNNING", "RESTARTING", "FAILING"}
_TIMEOUT = 120

T = TypeVar("T")


class FlinkError(RuntimeError):
    """Flink cannot be reached, or refuses."""


@dataclass(frozen=True)
class RunningJob:
    """A job that the cluster keeps alive."""

    job_id: str
    name: str
    version: str


class FlinkRest:
    """The parts of Flink's REST interface that we need. Every method raises FlinkError where it cannot be reached."""

    def __init__(self, url: str, timeout: float = 30) -> None:
        self._url = url.rstrip("/")
        self._timeout = timeout

    def get(self, path: str) -> Any:  # noqa: ANN401 (JSON)
        """GET a resource as JSON."""
        return self._call(urllib.request.Request(self._url + path))  # noqa: S310 (the configured address)

    def _send(self, method: str, path: str, body: dict[str, Any]) -> Any:  # noqa: ANN401 (JSON)
        return self._call(
            urllib.request.Request(  # noqa: S310 (the configured address)
                self._url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}, method=method
            )
        )

    def _call(self, request: urllib.request.Request) -> Any:  # noqa: ANN401 (JSON)
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as response:  # noqa: S310
                return json.load(response)
        except urllib.error.HTTPError as error:
            raise FlinkError(f"Flink refuses {request.full_url}: {error.read(500)!r}") from error
        except OSError as error:
            raise FlinkError(
                f"no Flink at {self._url} (BAGGAGE_FLINK__REST_URL): {getattr(error, 'reason', error)}"
            ) from error

    def live_jobs(self) -> Iterator[RunningJob]:
        """The jobs of ours that the cluster keeps alive."""
        for job in self.get("/jobs/overview")["jobs"]:
            if job["name"] in JOB_NAMES and job["state"] in _LIVE:
                config = self.get(f"/jobs/{job['jid']}/config").get("execution-config", {})
                yield RunningJob(job["jid"], job["name"], config.get("user-config", {}).get(VERSION_PARAMETER, ""))

    def known_job_ids(self, name: str) -> list[str]:
        """The ids of all jobs of a name that the cluster remembers, ended ones, too."""
        return sorted(job["jid"] for job in self.get("/jobs/overview")["jobs"] if job["name"] == name)

    def running_jobs(self) -> int:
        """How many of our jobs process records at this moment."""
        return sum(job["name"] in JOB_NAMES and job["state"] == "RUNNING" for job in self.get("/jobs/overview")["jobs"])

    def task_managers(self) -> list[str]:
        """The resource ids of the registered TaskManagers."""
        return [manager["id"] for manager in self.get("/taskmanagers")["taskmanagers"]]

    def stop_with_savepoint(self, job: RunningJob, directory: str) -> str:
        """Stop a job and return the path of its savepoint. Raises FlinkError if it fails."""
        body = {"targetDirectory": directory, "drain": False}
        trigger = self._send("POST", f"/jobs/{job.job_id}/stop", body)["request-id"]

        def status() -> str | None:
            answer = self.get(f"/jobs/{job.job_id}/savepoints/{trigger}")
            if answer["status"]["id"] != "COMPLETED":
                return None
            operation = answer["operation"]
            if "failure-cause" in operation:
                raise FlinkError(f"savepoint of {job.name} failed: {operation['failure-cause']['class']}")
            location: str = operation["location"]
            return location

        return wait(status, f"the savepoint of {job.name}")

    def cancel(self, job: RunningJob) -> None:
        """Cancel a job and wait until it has ended; its checkpoints are kept."""
        self._send("PATCH", f"/jobs/{job.job_id}?mode=cancel", {})
        wait(lambda: all(live.job_id != job.job_id for live in self.live_jobs()) or None, f"the end of {job.name}")

    def all_tasks_run(self, job_id: str) -> bool:
        """Whether every task of a job runs. Raises FlinkError if the job has ended."""
        job = self.get(f"/jobs/{job_id}")
        if job["state"] in ("FAILED", "CANCELED"):
            raise FlinkError(f"{job['name']} is {job['state']}: see {self.get(f'/jobs/{job_id}/exceptions')}"[:2000])
        return all(vertex["status"] == "RUNNING" for vertex in job["vertices"])


def wait(condition: Callable[[], T | None], what: str, seconds: float = _TIMEOUT) -> T:
    """What the condition returns as soon as it is not None. Raises FlinkError after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        result = condition()
        if result is not None:
            return result
        time.sleep(0.2)
    raise FlinkError(f"waited {seconds:.0f} s for {what}")
