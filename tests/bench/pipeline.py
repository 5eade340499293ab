"""The whole pipeline without its generator: the three servers, the topics, the tables, and the three jobs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from baggage.jobs.rest import FlinkRest
from baggage.local.processes import Process
from baggage.local.runtime import Runtime
from baggage.provision.kafka import create_topics
from baggage.provision.schema import apply_schema
from baggage.settings import Settings
from tests.bench.servers import submit


@contextmanager
def servers(settings: Settings, directory: Path) -> Iterator[Runtime]:
    """The servers with topics and tables, keeping all in `directory`."""
    local = settings.local.model_copy(update={"state_dir": directory})
    with Runtime(settings.model_copy(update={"local": local})) as runtime:
        create_topics(runtime.settings.kafka)
        apply_schema(runtime.settings.clickhouse)
        yield runtime


def start_jobs(runtime: Runtime, directory: Path) -> None:
    """Submit the three jobs, as `make run` does, and wait until they run."""
    submit("baggage.jobs", runtime.environment(), directory)


def processes(runtime: Runtime) -> dict[str, Process]:
    """The servers by name."""
    return {process.name: process for process in runtime.processes}


class Lag:
    """The records that the jobs have still to read from Kafka, over all their sources."""

    def __init__(self, rest_url: str) -> None:
        self._rest = FlinkRest(rest_url)
        self._sources = [
            (job.name, f"/jobs/{job.job_id}/vertices/{vertex['id']}/subtasks/metrics")
            for job in self._rest.live_jobs()
            for vertex in self._rest.get(f"/jobs/{job.job_id}")["vertices"]
            if vertex["name"].startswith("Source: ")
        ]
        self._metrics: dict[str, str] = {}

    def by_job(self) -> dict[str, int]:
        """Records by the name of the job."""
        lag: dict[str, int] = {}
        for job, path in self._sources:
            metric = self._metric(path)
            answer: Any = self._rest.get(f"{path}?get={metric}&agg=sum") if metric else []
            lag[job] = lag.get(job, 0) + round(answer[0]["sum"] if answer else 0)
        return lag

    def _metric(self, path: str) -> str | None:
        """The name of a source's metric, which it does not have before its first records."""
        if path not in self._metrics:
            metrics: Any = self._rest.get(path)
            for metric in metrics:
                if metric["id"].endswith(".pendingRecords"):
                    self._metrics[path] = metric["id"]
        return self._metrics.get(path)
