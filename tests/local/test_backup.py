"""A backup on S3, restored on a server that has lost everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError
from pydantic import SecretStr

from baggage.backup.s3 import BackupError, create, restore
from baggage.provision.schema import apply_schema, connect
from baggage.settings import BackupSettings, ClickHouseSettings, Settings
from tests import servers

BUCKET = "baggage-backups"
AT = datetime(2026, 1, 4, 2, 30, tzinfo=UTC)
KPI = '{"ts": "2099-01-04T10:00:00Z", "flight_id": "BR025|2026-01-04|LHR->AMS", "expected_bags": 3, "missing": 1}'


@pytest.fixture(scope="module")
def backup() -> Iterator[BackupSettings]:
    """A place for backups."""
    with servers.s3() as address:
        boto3.client(
            "s3",
            endpoint_url=address,
            aws_access_key_id="key",
            aws_secret_access_key="secret",
            region_name="us-east-1",
        ).create_bucket(Bucket=BUCKET)
        yield BackupSettings(
            url=f"{address}/{BUCKET}/clickhouse", access_key="key", secret_key=SecretStr("it's \\ secret")
        )


@pytest.fixture
def server(tmp_path: Path, backup: BackupSettings) -> Iterator[Callable[[str], Settings]]:
    """Starts a server with a data directory."""
    with ExitStack() as running:

        def start(name: str) -> Settings:
            (port,) = servers.free_ports(1)
            running.enter_context(servers.clickhouse(tmp_path / name, port))
            return Settings(clickhouse=ClickHouseSettings(port=port, compress=False), backup=backup)

        yield start


def test_a_server_that_lost_everything_has_it_again(server: Callable[[str], Settings]) -> None:
    old, new = server("old"), server("new")
    apply_schema(old.clickhouse)
    with connect(old.clickhouse) as client:
        client.command(f"INSERT INTO baggage_poc.flight_kpis (record) VALUES ('{KPI}')")
        name = create(old, AT)
        assert name == "2026-01-04T02-30-00Z"
        tables = client.query("SHOW TABLES FROM baggage_poc").result_rows
        rows = client.query("SELECT * FROM baggage_poc.flight_current").result_rows
    with pytest.raises(ClickHouseError):
        create(old, AT)
    with pytest.raises(BackupError, match="the database baggage_poc is not empty"):
        restore(old, name)
    with pytest.raises(ClickHouseError):
        restore(new, "2026-01-05T02-30-00Z")
    with pytest.raises(ClickHouseError):
        restore(old, "2026-01-05T02-30-00Z", replace=True)
    with connect(old.clickhouse) as client:
        assert client.query("SELECT * FROM baggage_poc.flight_current").result_rows == rows
        results = "SELECT value FROM baggage_poc.pipeline_health WHERE measure = 'backup_succeeded' ORDER BY value"
        assert client.query(results).result_rows == [(0,), (1,)]
    assert restore(new, name) > 0
    with connect(new.clickhouse) as client:
        assert client.query("SHOW TABLES FROM baggage_poc").result_rows == tables
        assert client.query("SELECT * FROM baggage_poc.flight_current").result_rows == rows
        client.command(f"INSERT INTO baggage_poc.flight_kpis (record) VALUES ('{KPI.replace('BR025', 'BR026')}')")
        assert restore(new, name, replace=True) > 0
        assert client.query("SELECT * FROM baggage_poc.flight_current").result_rows == rows


def test_without_a_place_there_is_no_backup(server: Callable[[str], Settings]) -> None:
    settings = server("any").model_copy(update={"backup": BackupSettings()})
    with pytest.raises(BackupError, match="BAGGAGE_BACKUP__URL is not set"):
        create(settings, AT)
