"""What makes a job the same, and which code a TaskManager runs.

The jobs of a TaskManager share one Python interpreter, so a TaskManager runs one version of the code for life and
says which in its resource id. A job runs only on TaskManagers of its own version.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import baggage
from baggage.settings import Settings

_CODE = ("domain", "jobs", "provision/topics.py", "clock.py", "log.py", "settings.py")


def code_version() -> str:
    """A digest of the code that runs inside a TaskManager: 12 hexadecimal digits."""
    digest = hashlib.sha256()
    package = Path(baggage.__file__).parent
    for part in _CODE:
        path = package / part
        for file in sorted(path.glob("*.py")) if path.is_dir() else [path]:
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def job_version(settings: Settings, state_version: int) -> str:
    """The version of a job: that of the code, a digest of the settings that the jobs read, and that of its state."""
    read = settings.model_dump_json(include={"clock", "kafka", "clickhouse", "flink", "rules"})
    # The dump masks the password, with which the job must change, too.
    read += settings.clickhouse.secret()
    return f"{code_version()}-{hashlib.sha256(read.encode()).hexdigest()[:12]}-{state_version}"


def code_of(version_or_resource_id: str) -> str:
    """The code version at the front of a job's version or a TaskManager's resource id."""
    return version_or_resource_id.partition("-")[0]


def state_version_of(version: str) -> str:
    """The state version at the end of a job's version."""
    return version.rpartition("-")[2]


def main() -> None:
    """Print the version of this code."""
    sys.stdout.write(f"{code_version()}\n")


if __name__ == "__main__":
    main()
