"""Brings the three jobs to this version on a Flink session cluster; safe to run again and again.

A job that runs this version is left alone. One of another version is stopped with a savepoint and started from it. A
job that is not there is started from its newest checkpoint or savepoint, or afresh.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import structlog
from pyflink.common import Configuration
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.java_gateway import get_gateway
from pyflink.table import StreamTableEnvironment

from baggage.jobs import bag_latest, flight_kpi_alert, itinerary_status, names
from baggage.jobs.release import code_of, job_version
from baggage.jobs.rest import VERSION_PARAMETER, FlinkError, FlinkRest, RunningJob, wait
from baggage.settings import Settings

Build = Callable[[StreamTableEnvironment, Settings], None]
JOBS: dict[str, Build] = {
    names.BAG_LATEST: bag_latest.build,
    names.FLIGHT_KPI_ALERT: flight_kpi_alert.build,
    names.ITINERARY_STATUS: itinerary_status.build,
}

# A new TaskManager is there minutes after its rollout began: it pulls an image and waits for the handover.
_TASK_MANAGER_TIMEOUT = 600
_REST_TIMEOUT = 300
_PARTS_OF_CHECKPOINTS = {"shared", "taskowned"}

logger = structlog.get_logger()


def submit_all(settings: Settings) -> dict[str, str]:
    """Bring all jobs to this version and wait until they run; return their ids by name. Raises FlinkError."""
    rest, this = FlinkRest(settings.flink.rest_url), job_version(settings)
    _wait_for_flink(rest)
    submitted, snapshots = {}, {}
    running = {job.name: job for job in rest.live_jobs()}
    for name in JOBS:
        job = running.get(name)
        if job and job.version == this:
            logger.info("job is up to date", job=name, version=this)
            submitted[name] = job.job_id
        else:
            snapshots[name] = _stop(rest, job, settings) if job else newest_snapshot(settings, name)
    if snapshots:
        wait(
            partial(_only_this_code, rest, code_of(this)),
            f"TaskManagers of version {code_of(this)}, and no other",
            _TASK_MANAGER_TIMEOUT,
        )
    for name, snapshot in snapshots.items():
        job_id = _unique_id(name, snapshot, rest.known_job_ids(name))
        submitted[name] = start(JOBS[name], job_configuration(name, job_id, snapshot, this, settings), settings)
        logger.info("job is submitted", job=name, version=this, job_id=submitted[name], restored_from=snapshot)
    for name, job_id in submitted.items():
        wait(partial(_runs, rest, job_id), f"{name} to run")
    for name, snapshot in snapshots.items():
        gone = forget_older(settings, name, submitted[name], snapshot)
        logger.info("older checkpoints and savepoints are removed", job=name, removed=gone)
    return submitted


def stop_all(settings: Settings) -> dict[str, str]:
    """Stop the jobs that run, each with a savepoint; return the savepoints by name. Raises FlinkError if one fails."""
    rest = FlinkRest(settings.flink.rest_url)
    with ThreadPoolExecutor() as pool:
        stops = {
            job.name: pool.submit(rest.stop_with_savepoint, job, _directory(settings, job.name))
            for job in rest.live_jobs()
        }
        return {name: stop.result() for name, stop in stops.items()}


def newest_snapshot(settings: Settings, name: str) -> str | None:
    """The newest complete checkpoint or savepoint of a job, or None; on any storage that Flink can read."""
    file_system, directory = _storage(settings, name)

    def complete(path: Any, depth: int) -> Iterator[tuple[int, str]]:  # noqa: ANN401 (a Java object)
        for status in file_system.listStatus(path) or ():
            found = status.getPath()
            if found.getName() == "_metadata":
                yield status.getModificationTime(), path.toString()
            elif status.isDir() and depth and found.getName() not in _PARTS_OF_CHECKPOINTS:
                yield from complete(found, depth - 1)

    if not file_system.exists(directory):
        return None
    return max(complete(directory, 2), default=(0, None))[1]


def forget_older(settings: Settings, name: str, job_id: str, snapshot: str | None) -> list[str]:
    """Remove what a job left before the snapshot that it was started from; return the names of what is gone.

    The snapshot itself stays until the next start: until the job has made a checkpoint, it is all there is.
    """
    file_system, directory = _storage(settings, name)
    if snapshot is None or not file_system.exists(directory):
        return []
    keep = {job_id, snapshot.rpartition(f"/{name}/")[2].partition("/")[0]}
    older = [status.getPath() for status in file_system.listStatus(directory) if status.getPath().getName() not in keep]
    for path in older:
        file_system.delete(path, True)
    return sorted(path.getName() for path in older)


def _storage(settings: Settings, name: str) -> tuple[Any, Any]:
    """Flink's file system that holds the checkpoints and savepoints of a job, and their directory in it."""
    jvm = get_gateway().jvm
    directory = jvm.org.apache.flink.core.fs.Path(_directory(settings, name))
    if directory.toUri().getScheme() != "file":
        configuration = jvm.org.apache.flink.configuration.GlobalConfiguration.loadConfiguration()
        for key, value in settings.flink.job_options.items():
            configuration.setString(key, value)
        plugins = jvm.org.apache.flink.core.plugin.PluginUtils.createPluginManagerFromRootFolder(configuration)
        jvm.org.apache.flink.core.fs.FileSystem.initialize(configuration, plugins)
    return directory.getFileSystem(), directory


def _directory(settings: Settings, name: str) -> str:
    """Where the checkpoints and savepoints of a job are; one folder a job, as job ids change."""
    return f"{settings.flink.state_dir.rstrip('/')}/{name}"


def _wait_for_flink(rest: FlinkRest) -> None:
    """Wait for a JobManager that answers, which may come after this process. Raises FlinkError if none comes."""
    deadline = time.monotonic() + _REST_TIMEOUT
    while True:
        try:
            rest.running_jobs()
        except FlinkError as error:
            if time.monotonic() > deadline:
                raise
            logger.info("waiting", reason=str(error))
            time.sleep(2)
        else:
            return


def _stop(rest: FlinkRest, job: RunningJob, settings: Settings) -> str | None:
    """Stop a job with a savepoint; one that is failing cannot make any, and goes on from its newest checkpoint."""
    try:
        savepoint = rest.stop_with_savepoint(job, _directory(settings, job.name))
    except FlinkError as error:
        logger.warning("no savepoint, going back to the newest checkpoint", job=job.name, reason=str(error))
        rest.cancel(job)
        return newest_snapshot(settings, job.name)
    logger.info("job is stopped", job=job.name, version=job.version, savepoint=savepoint)
    return savepoint


def _only_this_code(rest: FlinkRest, code: str) -> bool | None:
    managers = rest.task_managers()
    return (bool(managers) and all(code_of(manager) == code for manager in managers)) or None


def _runs(rest: FlinkRest, job_id: str) -> bool | None:
    return rest.all_tasks_run(job_id) or None


def _unique_id(name: str, snapshot: str | None, known: list[str]) -> str:
    """The same id for whoever starts this job now: of two who do, Flink refuses the second."""
    return hashlib.md5("|".join([name, snapshot or "", *known]).encode(), usedforsecurity=False).hexdigest()


def job_configuration(name: str, job_id: str, savepoint: str | None, this: str, settings: Settings) -> dict[str, str]:
    """The Flink configuration of one job (specification section 6, common settings)."""
    interval_ms = int(settings.flink.checkpoint_interval.total_seconds() * 1000)
    configuration = {
        "pipeline.name": name,
        "$internal.pipeline.job-id": job_id,
        "pipeline.global-job-parameters": f"{VERSION_PARAMETER}:{this}",
        "pipeline.object-reuse": "true",
        # A record waits so long for others on its way to another operator, and there are up to four such ways from a
        # scan to an itinerary.
        "execution.buffer-timeout.interval": "20 ms",
        "parallelism.default": str(settings.flink.parallelism),
        "python.execution-mode": "thread",
        "state.backend.type": "rocksdb",
        # A slot has a cache of some megabytes, in parts smaller than the index of a file of a few hundred thousand
        # bags: whole, it would be read again for each event. The filters spare a new bag the look into every file.
        "state.backend.rocksdb.memory.partitioned-index-filters": "true",
        "state.backend.rocksdb.use-bloom-filter": "true",
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


def start(build: Build, options: dict[str, str], settings: Settings) -> str:
    """Start a job on the session cluster with these Flink options and return its id."""
    configuration = Configuration()
    for key, value in (options | settings.flink.job_options).items():
        configuration.set_string(key, value)
    address = urlsplit(settings.flink.rest_url)
    gateway = get_gateway()
    no_jars = gateway.new_array(gateway.jvm.String, 0)
    j_env = gateway.jvm.org.apache.flink.streaming.api.environment.StreamExecutionEnvironment.createRemoteEnvironment(
        address.hostname, address.port or 80, configuration._j_configuration, no_jars
    )
    env = StreamExecutionEnvironment(j_env)
    build(StreamTableEnvironment.create(env), settings)
    return str(env.execute_async(options["pipeline.name"]).get_job_id())
