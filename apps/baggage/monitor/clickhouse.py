"""Asks ClickHouse: how old the newest row of each table is, of how many parts it consists, and how full the disk is."""

from __future__ import annotations

from collections.abc import Iterator

from clickhouse_connect.driver.client import Client

from baggage.clock import Clock
from baggage.monitor.samples import Component, Measure, Sample

_TABLES = """
SELECT table, uniqExact(name), sum(bytes_on_disk)
FROM system.parts WHERE database = %(database)s AND active GROUP BY table
"""
_TIME_COLUMNS = """
SELECT table, name FROM system.columns
WHERE database = %(database)s AND name IN ('ts', 'created_at') AND is_in_partition_key
"""
_DISKS = "SELECT name, 1 - unreserved_space / total_space FROM system.disks WHERE total_space > 0"


def samples(client: Client, database: str, clock: Clock) -> Iterator[Sample]:
    """The samples of the tables of a database; rows have the pipeline's time. Raises ClickHouseError."""
    parameters = {"database": database}
    for table, parts, size in client.query(_TABLES, parameters).result_rows:
        yield Sample(Measure.TABLE_PARTS, parts, {"table": table})
        yield Sample(Measure.TABLE_SIZE, size, {"table": table})
    for table, column in client.query(_TIME_COLUMNS, parameters).result_rows:
        newest = client.query(f"SELECT toUnixTimestamp(maxOrNull({column})) FROM {database}.{table}").result_rows[0][0]
        if newest is not None:
            age = clock.now().timestamp() - newest
            yield Sample(Measure.NEWEST_ROW_AGE, max(age, 0), {"table": table})
    for disk, used in client.query(_DISKS).result_rows:
        yield Sample(Measure.DISK_USED, used, {"component": Component.CLICKHOUSE.value, "disk": disk})
