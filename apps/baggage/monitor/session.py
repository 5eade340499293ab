"""One client of ClickHouse for as long as it is good."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from clickhouse_connect.driver.client import Client

from baggage.monitor.samples import TIMEOUT
from baggage.provision.schema import connect
from baggage.settings import ClickHouseSettings


class Session:
    """A client that is made anew after a failure.

    Where a password is rotated, its file has the new one minutes before the server does: until that refuses the old
    one, the client that there is goes on.
    """

    def __init__(self, settings: ClickHouseSettings) -> None:
        self._settings = settings
        self._client: Client | None = None

    @contextmanager
    def client(self) -> Iterator[Client]:
        """The client, for one thread at a time. Raises ClickHouseError, and OSError without a password."""
        try:
            self._client = self._client or connect(self._settings, TIMEOUT)
            yield self._client
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the client, if there is one."""
        if self._client:
            self._client.close()
            self._client = None
