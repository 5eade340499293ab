"""Brings the three jobs to this version on a Flink session cluster; safe to run again and again.

A job that runs this version is left alone. One of another version is stopped with a savepoint and started from it. A
job that is not there is started from its newest checkpoint or savepoint, or afresh. What has another layout of the
state than this version is no snapshot: the job starts afresh from the topics, which hold all it needs.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from typing import Any
from urllib.parse import urlsplit

import structlog
from pyflink.common import Configuration
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.java_gateway import get_gateway
from pyflink.table import StreamTableEnvironment

from baggage.domain.schedule import STATE_RETENTION
from baggage.jobs import bag_latest, flight_kpi_alert, itinerary_status
from baggage.jobs.release import code_of, code_version, job_version, state_version_of
from baggage.jobs.rest import VERSION_PARAMETER, FlinkError, FlinkRest, RunningJob, wait
from baggage.settings import Settings

Build = Callable[[StreamTableEnvironment, Settings], None]


@dataclass(frozen=True)
class Job:
    """How a job is built, and the version of the layout of its state."""

    build: Build
    state_version: int


JOBS = {
    module.NAME: Job(module.build, module.STATE_VERSION) for module in (bag_latest, flight_kpi_alert, itinerary_status)
}

# A new TaskManager is there minutes after its rollout began: it pulls an image and waits for the handover.
_TASK_MANAGER_TIMEOUT = 600
# A scan on its way to an itinerary waits for two of these.
_MINI_BATCH_MS = 50
_REST_TIMEOUT = 300
_PARTS_OF_CHECKPOINTS = {"shared", "taskowned"}

logger = structlog.get_logger()


def submit_all(settings: Settings) -> dict[str, str]:
    """Bring all jobs to this version and wait until they run; return their ids by name. Raises FlinkError."""
    rest, code = FlinkRest(settings.flink.rest_url), code_version()
    versions = {name: job_version(settings, job.state_version) for name, job in JOBS.items()}
    _wait_for_flink(rest)
    submitted, snapshots = {}, {}
    # Before the look at what runs: who starts a job in between is seen, and who does later has known the same jobs.
    known = {name: rest.known_job_ids(name) for name in JOBS}
    running = {job.name: job for job in rest.live_jobs()}
    for name, version in versions.items():
        job = running.get(name)
        if job and job.version == version:
            logger.info("job is up to date", job=name, version=version)
            submitted[name] = job.job_id
        else:
            snapshots[name] = _stop(rest, job, version, settings) if job else newest_snapshot(settings, name)
    if snapshots:
        wait(
            partial(_only_this_code, rest, code),
            f"TaskManagers of version {code}, and no other",
            _TASK_MANAGER_TIMEOUT,
        )
    for name, snapshot in snapshots.items():
        job_id = _unique_id(name, snapshot, known[name])
        options = job_configuration(name, job_id, snapshot, versions[name], settings)
        submitted[name] = start(JOBS[name].build, options, settings)
        logger.info("job is submitted", job=name, version=versions[name], job_id=job_id, restored_from=snapshot)
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
    file_system, directory = _storage(settings, _directory(settings, name))

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
    """Remove what a job left before the snapshot that it was started from, and all of other layouts of the state.

    Returns the names of what is gone. The snapshot itself stays until the next start: until the job has made a
    checkpoint, it is all there is.
    """
    keep_snapshot = snapshot.rpartition(f"/{_state_directory(name)}/")[2].partition("/")[0] if snapshot else ""
    gone = _remove_all_but(settings, _job_directory(settings, name), {_state_directory(name)})
    if snapshot:
        gone += _remove_all_but(settings, _directory(settings, name), {job_id, keep_snapshot})
    return sorted(gone)


def _remove_all_but(settings: Settings, path: str, keep: set[str]) -> list[str]:
    """Remove what a directory holds, which need not exist, but for these names; return the names of what is gone."""
    file_system, directory = _storage(settings, path)
    if not file_system.exists(directory):
        return []
    gone = [found.getPath() for found in file_system.listStatus(directory) if found.getPath().getName() not in keep]
    for old in gone:
        file_system.delete(old, True)
    return [old.getName() for old in gone]


def _storage(settings: Settings, path: str) -> tuple[Any, Any]:
    """Flink's file system that holds a directory of checkpoints and savepoints, and the directory in it."""
    directory = get_gateway().jvm.org.apache.flink.core.fs.Path(path)
    if directory.toUri().getScheme() != "file":
        _load_file_systems(tuple(settings.flink.job_options.items()))
    return directory.getFileSystem(), directory


@cache
def _load_file_systems(options: tuple[tuple[str, str], ...]) -> None:
    """Load Flink's plugins for file systems, with these options: once, as each time makes classes of its own."""
    jvm = get_gateway().jvm
    configuration = jvm.org.apache.flink.configuration.GlobalConfiguration.loadConfiguration()
    for key, value in options:
        configuration.setString(key, value)
    plugins = jvm.org.apache.flink.core.plugin.PluginUtils.createPluginManagerFromRootFolder(configuration)
    jvm.org.apache.flink.core.fs.FileSystem.initialize(configuration, plugins)


def _job_directory(settings: Settings, name: str) -> str:
    return f"{settings.flink.state_dir.rstrip('/')}/{name}"


def _state_directory(name: str) -> str:
    return f"state-{JOBS[name].state_version}"


def _directory(settings: Settings, name: str) -> str:
    """Where checkpoints and savepoints are: one folder for each job, as its ids change, and layout of its state."""
    return f"{_job_directory(settings, name)}/{_state_directory(name)}"


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


def _stop(rest: FlinkRest, job: RunningJob, version: str, settings: Settings) -> str | None:
    """Stop a job with a savepoint; one that is failing cannot make any, and goes on from its newest checkpoint."""
    if state_version_of(job.version) != state_version_of(version):
        logger.info("job starts afresh: its state has another layout", job=job.name, version=job.version)
        rest.cancel(job)
        return None
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
        # At hundreds of thousands of bags a third of BagLatest's CPU time went into compressing their state.
        "state.backend.rocksdb.compression.per.level": "NO_COMPRESSION",
        "execution.checkpointing.interval": f"{interval_ms} ms",
        "execution.checkpointing.dir": _directory(settings, name),
        "execution.checkpointing.incremental": "true",
        # A volume or bucket that is away stops no job; the monitor says that there are no checkpoints.
        "execution.checkpointing.tolerable-failed-checkpoints": "1000000",
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "table.local-time-zone": "UTC",
        # What many records of a batch change is looked up, written and passed on once.
        "table.exec.mini-batch.enabled": "true",
        "table.exec.mini-batch.allow-latency": f"{_MINI_BATCH_MS} ms",
        "table.exec.mini-batch.size": "5000",
        "table.exec.state.ttl": f"{int(STATE_RETENTION.total_seconds() * 1000)} ms",
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
