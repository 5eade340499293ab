"""Servers that several tests start for themselves."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from moto.server import ThreadedMotoServer

from baggage.local import clickhouse_server

#: Below those that the system gives to clients.
_PORTS = range(20_000, 30_000)


def free_ports(count: int) -> list[int]:
    """So many consecutive ports of the loopback that nothing listens at."""
    while True:
        first = random.choice(_PORTS)  # noqa: S311 (no secret)
        ports = list(range(first, first + count))
        if not any(_is_taken(port) for port in ports):
            return ports


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def clickhouse(directory: Path, port: int) -> Iterator[None]:
    """The engine at a port, with data and log in a directory."""
    server = clickhouse_server.process(directory / "data", directory, port)
    server.start()
    try:
        server.wait_until(lambda: clickhouse_server.answers_ping(port), 60)
        yield
    finally:
        server.stop()


@contextmanager
def s3() -> Iterator[str]:
    """An S3 server at a free port; its address."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield f"http://127.0.0.1:{server.get_host_and_port()[1]}"
    finally:
        server.stop()
