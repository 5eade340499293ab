"""BACKUP and RESTORE of the whole database; it is the server that reads and writes the bucket."""

from __future__ import annotations

from datetime import datetime

from clickhouse_connect.driver.binding import format_str
from clickhouse_connect.driver.client import Client

from baggage.provision.schema import apply_schema, connect
from baggage.settings import Settings

#: A month of data takes minutes.
_TIMEOUT = 6 * 3600


class BackupError(RuntimeError):
    """A backup cannot be made or restored, and why."""


def create(settings: Settings, at: datetime) -> str:
    """Back the database up; return the name of the backup. Raises BackupError and ClickHouseError."""
    name = at.strftime("%Y-%m-%dT%H-%M-%SZ")
    with connect(settings.clickhouse, timeout=_TIMEOUT) as client:
        client.command(f"BACKUP DATABASE {settings.clickhouse.database} TO {_place(settings, name)}")
    return name


def restore(settings: Settings, name: str, *, replace: bool = False) -> int:
    """Restore a backup into the database, and bring it to this version's schema; return how many tables it has.

    What the database holds is dropped with `replace`; without, that is a BackupError. Raises ClickHouseError as the
    server says.
    """
    database = settings.clickhouse.database
    with connect(settings.clickhouse, timeout=_TIMEOUT) as client:
        place = _place(settings, name)
        if _tables(client, database):
            if not replace:
                raise BackupError(f"the database {database} is not empty: --replace drops what it holds")
            client.command(f"DROP DATABASE {database} SYNC")
        client.command(f"RESTORE DATABASE {database} FROM {place}")
        apply_schema(settings.clickhouse)
        return _tables(client, database)


def _tables(client: Client, database: str) -> int:
    query = "SELECT count() FROM system.tables WHERE database = %(database)s AND engine LIKE '%%MergeTree'"
    return int(client.query(query, {"database": database}).result_rows[0][0])


def _place(settings: Settings, name: str) -> str:
    """Where a backup is, as SQL: with keys, or without for the role of the server."""
    backup = settings.backup
    if not backup.url:
        raise BackupError("BAGGAGE_BACKUP__URL is not set: https://<bucket>.s3.<region>.amazonaws.com/<folder>")
    given = [f"{backup.url.rstrip('/')}/{name}"]
    if backup.access_key:
        given += [backup.access_key, backup.secret_key.get_secret_value()]
    return f"S3({', '.join(map(format_str, given))})"
