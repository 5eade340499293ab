"""The Java archives that pip does not bring, by Maven coordinate, checked against pinned SHA-256 sums.

`python -m baggage.local.jars all|broker|connectors|plugins CACHE` downloads them and prints their paths; `lock`
writes the sums anew.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
from importlib.resources import files
from pathlib import Path

import jgo
from rich.console import Console

KAFKA_BROKER = (
    "org.apache.kafka:kafka_2.13:4.1.1",
    # Without it jgo picks the older client that another dependency names.
    "org.apache.kafka:kafka-clients:4.1.1",
    # The broker brings no logging backend; without one its log stays empty.
    "org.apache.logging.log4j:log4j-slf4j-impl:2.25.5",
)
FLINK_CONNECTORS = (
    "org.apache.flink:flink-sql-connector-kafka:5.0.0-2.2",
    "org.apache.flink:flink-connector-jdbc-core:4.0.0-2.0",
    "org.apache.flink:flink-connector-base:2.2.1",
    "com.clickhouse:clickhouse-jdbc:0.9.6:all",
)
# Storage for checkpoints where there is no shared volume; Flink loads a plugin apart from all else. The newest for 2.2.
FLINK_PLUGINS = ("org.apache.flink:flink-s3-fs-hadoop:2.2.0",)

_LOCK = "jars.lock"
#: All archives together, with what the fetching takes besides.
_JARS_BYTES = 300 * 1024 * 1024


class JarError(RuntimeError):
    """An archive is missing and cannot be had, or is not the one that was pinned."""


def kafka_broker(cache: Path) -> list[Path]:
    """The class path of the broker: its archives with all that they need."""
    return _checked(_resolved("+".join(KAFKA_BROKER), cache, "Kafka"), _pinned())


def flink_connectors(cache: Path) -> list[Path]:
    """The connectors of the jobs; what they need is inside them or in Flink."""
    return _checked(_alone(FLINK_CONNECTORS, cache), _pinned())


def flink_plugins(cache: Path) -> list[Path]:
    """The plugins of Flink, each complete in itself."""
    return _checked(_alone(FLINK_PLUGINS, cache), _pinned())


def _alone(coordinates: tuple[str, ...], cache: Path) -> list[Path]:
    """The archives of these coordinates, without what they name as needed."""
    found = []
    for coordinate in coordinates:
        _, artifact, version, *classifier = coordinate.split(":")
        name = "-".join([artifact, version, *classifier]) + ".jar"
        archives = _resolved(coordinate, cache, artifact)
        found += [archive for archive in archives if archive.name == name]
    return found


def _resolved(endpoint: str, cache: Path, what: str) -> list[Path]:
    """The archives of an endpoint, from the cache or else from the Maven registry."""
    elsewhere = "set BAGGAGE_LOCAL__JAR_DIR to another directory"
    with Console(stderr=True).status(f"Fetching {what} ({endpoint.split('+')[0]}; once) ..."):
        try:
            cache.mkdir(parents=True, exist_ok=True)
            environment = jgo.build(endpoint, cache_dir=cache)
        except Exception as error:
            # An error of the network has no file.
            if isinstance(error, OSError) and error.filename:
                raise JarError(f"cannot keep {what} in {cache}: {error.strerror}; {elsewhere}") from error
            if shutil.disk_usage(cache).free < _JARS_BYTES:
                raise JarError(f"cannot fetch {endpoint}: the disk of {cache} is full; {elsewhere}") from error
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise JarError(f"cannot fetch {endpoint}: {reason}; is the Maven registry reachable?") from error
    return sorted(set(environment.all_jars))


def _pinned() -> dict[str, str]:
    """File name to SHA-256."""
    lines = files(__package__).joinpath(_LOCK).read_text(encoding="utf-8").splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def _checked(archives: list[Path], pinned: dict[str, str]) -> list[Path]:
    for archive in archives:
        if pinned.get(archive.name) != _sha256(archive):
            raise JarError(f"{archive} is not the pinned {archive.name}: remove {archive.parent} and try again")
    return archives


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main() -> None:
    """Print the paths of the archives, or pin them."""
    parser = argparse.ArgumentParser(prog="python -m baggage.local.jars", description=__doc__)
    parser.add_argument("what", choices=("all", "broker", "connectors", "plugins", "lock"))
    parser.add_argument("cache", type=Path, help="where to keep the archives")
    arguments = parser.parse_args()
    what, cache = arguments.what, arguments.cache
    if what == "lock":
        archives = {*_resolved("+".join(KAFKA_BROKER), cache, "Kafka")}
        archives |= {*_alone(FLINK_CONNECTORS + FLINK_PLUGINS, cache)}
        lines = sorted(f"{_sha256(path)}  {path.name}" for path in archives)
        Path(str(files(__package__).joinpath(_LOCK))).write_text("\n".join(lines) + "\n", encoding="utf-8")
        return
    try:
        found = kafka_broker(cache) if what in ("all", "broker") else []
        found += flink_connectors(cache) if what in ("all", "connectors") else []
        found += flink_plugins(cache) if what in ("all", "plugins") else []
    except JarError as error:
        sys.exit(f"error: {error}")
    for archive in found:
        sys.stdout.write(f"{archive}\n")


if __name__ == "__main__":
    main()
