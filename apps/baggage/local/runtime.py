"""Kafka, ClickHouse and Flink together, started and stopped as one."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from baggage.local import clickhouse_server, kafka_broker
from baggage.local.flink_cluster import FlinkCluster
from baggage.local.processes import Process
from baggage.settings import Settings

LOCK_FILE = "lock"

_READY_TIMEOUT = 120
#: What the servers take at their start and in the first hours.
_DISK_BYTES = 2**30


class RuntimeStartError(RuntimeError):
    """The runtime cannot start, and what to do about it."""


class Runtime:
    """The three servers on one bare machine; a context manager.

    All data is under `settings.local.state_dir`, and is there again at the next start.
    """

    def __init__(self, settings: Settings) -> None:
        local = settings.local
        self._directory = local.state_dir.resolve()
        self._lock = state_lock(self._directory)
        _check_disk(self._directory)
        controller = local.kafka_port + 1
        _check_ports(
            {
                "BAGGAGE_LOCAL__KAFKA_PORT": local.kafka_port,
                "BAGGAGE_LOCAL__KAFKA_PORT + 1": controller,
                "BAGGAGE_LOCAL__CLICKHOUSE_PORT": local.clickhouse_port,
                "BAGGAGE_LOCAL__FLINK_PORT": local.flink_port,
                "BAGGAGE_LOCAL__FLINK_PORT + 1": local.flink_port + 1,
                "BAGGAGE_MONITOR__PORT": settings.monitor.port,
            }
        )
        logs, jars = self._directory / "logs", local.jar_dir.resolve()
        self.kafka = kafka_broker.broker_process(self._directory / "kafka", logs, jars, local.kafka_port, controller)
        self.clickhouse = clickhouse_server.process(self._directory / "clickhouse", logs, local.clickhouse_port)
        self.flink = FlinkCluster(self._directory / "flink", logs, jars, local.flink_port, local.task_managers)
        self.settings = settings.model_copy(
            update={
                "kafka": settings.kafka.model_copy(
                    update={"bootstrap_servers": f"{kafka_broker.HOST}:{local.kafka_port}"}
                ),
                "clickhouse": settings.clickhouse.model_copy(
                    update={"host": clickhouse_server.HOST, "port": local.clickhouse_port, "compress": False}
                ),
                "flink": settings.flink.model_copy(
                    update={"rest_url": self.flink.rest_url, "state_dir": self.flink.snapshots}
                ),
            }
        )

    @property
    def processes(self) -> list[Process]:
        """Every process of the runtime."""
        return [self.kafka, self.clickhouse, *self.flink.processes]

    def start(self) -> None:
        """Start all and wait until each answers. Raises ProcessError, with the log, for one that does not."""
        port, clickhouse_port = self.settings.local.kafka_port, self.settings.local.clickhouse_port
        for process in self.processes:
            process.start()
        with ThreadPoolExecutor() as pool:
            waits = [
                pool.submit(self.kafka.wait_until, lambda: kafka_broker.answers_metadata(port), _READY_TIMEOUT),
                pool.submit(
                    self.clickhouse.wait_until, lambda: clickhouse_server.answers_ping(clickhouse_port), _READY_TIMEOUT
                ),
                pool.submit(self.flink.job_manager.wait_until, self.flink.all_slots_are_there, _READY_TIMEOUT),
            ]
            for wait in waits:
                wait.result()

    def stop(self) -> None:
        """Stop all; what is stored stays."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(Process.stop, self.processes))

    def memory(self) -> dict[str, int]:
        """Resident bytes by process."""
        return {process.name: process.memory() for process in self.processes}

    def environment(self) -> dict[str, str]:
        """The environment in which the client side of Flink and every other program of ours finds this runtime."""
        return {**os.environ, **self.flink.environment, **self.settings.environment()}

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._lock.close()


def state_lock(directory: Path) -> IO[str]:
    """Keep the state directory for this process alone.

    Raises RuntimeStartError while another one has it, and for a directory with anything in it that no run began:
    `make clean` deletes all that is there.
    """
    directory.mkdir(parents=True, exist_ok=True)
    if not (directory / LOCK_FILE).exists() and any(directory.iterdir()):
        raise RuntimeStartError(
            f"{directory} holds other files than those of a run: set BAGGAGE_LOCAL__STATE_DIR to an empty directory"
        )
    lock = (directory / LOCK_FILE).open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise RuntimeStartError(
            f"another run uses {directory}: stop it, or set BAGGAGE_LOCAL__STATE_DIR to another directory"
        ) from None
    return lock


def _check_disk(directory: Path) -> None:
    free = shutil.disk_usage(directory).free
    if free < _DISK_BYTES:
        raise RuntimeStartError(
            f"the disk of {directory} has {free / 2**20:.0f} MiB left, and {_DISK_BYTES / 2**20:.0f} are needed: "
            "`make clean` forgets the last run, BAGGAGE_LOCAL__STATE_DIR names another directory"
        )


def _check_ports(ports: dict[str, int]) -> None:
    """Raise RuntimeStartError for a port that two settings name, or that is taken."""
    named: dict[int, str] = {}
    for setting, port in ports.items():
        if other := named.get(port):
            raise RuntimeStartError(f"{setting} and {other} are both {port}: set one of them to another port")
        named[port] = setting
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                raise RuntimeStartError(f"port {port} is taken: set {setting} to a free one") from None
