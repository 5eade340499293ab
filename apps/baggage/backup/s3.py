"""BACKUP and RESTORE of the whole database; it is the server that reads and writes the bucket."""

from __future__ import annotations

from datetime import UTC, datetime

from clickhouse_connect.driver.binding import format_str
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from baggage.monitor import table
from baggage.monitor.samples import Component, Measure, Sample
from baggage.provision.schema import apply_schema, connect
from baggage.settings import Settings

#: A month of data takes minutes.
_TIMEOUT = 6 * 3600


class BackupError(RuntimeError):
    """A backup cannot be made or restored, and why."""


def create(settings: Settings, at: datetime) -> str:
    """Back the database up; return the name of the backup. Raises BackupError and ClickHouseError.

    How it went is a sample among those of the monitor.
    """
    name = at.strftime("%Y-%m-%dT%H-%M-%SZ")
    place = _place(settings, name)
    with connect(settings.clickhouse, timeout=_TIMEOUT) as client:
        try:
            client.command(f"BACKUP DATABASE {settings.clickhouse.database} TO {place}")
        except ClickHouseError as error:
            _report(client, settings.clickhouse.database, str(error).splitlines()[0])
            raise
        _report(client, settings.clickhouse.database)
    return name


def restore(settings: Settings, name: str, *, replace: bool = False) -> int:
    """Restore a backup into the database, and bring it to this version's schema; return how many tables it has.

    What the database holds is dropped with `replace`, when all of the backup is there; without, that is a BackupError.
    Raises ClickHouseError as the server says; the database is then as it was.
    """
    database = settings.clickhouse.database
    former = f"{database}_before_restore"
    place = _place(settings, name)
    with connect(settings.clickhouse, timeout=_TIMEOUT) as client:
        if _tables(client, database) and not replace:
            raise BackupError(f"the database {database} is not empty: --replace drops what it holds")
        if _tables(client, former):
            raise BackupError(f"{former} is left of a restore that was interrupted: rename or drop it first")
        client.command(f"CREATE DATABASE IF NOT EXISTS {database}")
        client.command(f"DROP DATABASE IF EXISTS {former} SYNC")
        client.command(f"RENAME DATABASE {database} TO {former}")
        try:
            client.command(f"RESTORE DATABASE {database} FROM {place}")
            apply_schema(settings.clickhouse)
        except Exception:
            client.command(f"DROP DATABASE IF EXISTS {database} SYNC")
            client.command(f"RENAME DATABASE {former} TO {database}")
            raise
        client.command(f"DROP DATABASE {former} SYNC")
        return _tables(client, database)


def _report(client: Client, database: str, failure: str = "") -> None:
    sample = Sample(Measure.BACKUP_SUCCEEDED, not failure, {"component": Component.CLICKHOUSE.value}, failure)
    table.write(client, database, [sample], datetime.now(UTC))


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
