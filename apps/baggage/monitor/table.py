"""The table pipeline_health: what is measured, and what the view over it finds wrong."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from clickhouse_connect.driver.client import Client

from baggage.monitor.samples import Sample

_TABLE = "pipeline_health"
_COLUMNS = ["ts", "measure", "labels", "value", "note"]


def write(client: Client, database: str, samples: Sequence[Sample], at: datetime) -> None:
    """Insert the samples of one moment. Raises ClickHouseError."""
    rows = [[at, sample.measure.value, sample.labels, sample.value, sample.note] for sample in samples]
    client.insert(_TABLE, rows, column_names=_COLUMNS, database=database)


def findings(client: Client, database: str, at: datetime | None = None) -> list[str]:
    """What is, or was, wrong with the pipeline at a moment, now by default: a sentence each. Raises ClickHouseError."""
    moment = f"{at or datetime.now(UTC):%F %T}"
    rows = client.query(f"SELECT says FROM {database}.pipeline_findings(at = '{moment}') ORDER BY finding, subject")
    return [says for (says,) in rows.result_rows]
