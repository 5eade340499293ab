"""Servers that several tests start for themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from moto.server import ThreadedMotoServer

from baggage.local import clickhouse_server


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
