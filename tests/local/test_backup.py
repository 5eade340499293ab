"""A backup on S3, restored on a server that has lost everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError
from moto.server import ThreadedMotoServer
from pydantic import SecretStr

from baggage.backup.s3 import BackupError, create, restore
from baggage.local import clickhouse_server
from baggage.provision.schema import apply_schema, connect
from baggage.settings import BackupSettings, ClickHouseSettings, Settings

S3, BUCKET = 18624, "baggage-backups"
AT = datetime(2026, 1, 4, 2, 30, tzinfo=UTC)
KPI = '{"ts": "2099-01-04T10:00:00Z", "flight_id": "BR025|2026-01-04|LHR->AMS", "expected_bags": 3, "missing": 1}'
BACKUP = BackupSettings(
    url=f"http://127.0.0.1:{S3}/{BUCKET}/clickhouse", access_key="key", secret_key=SecretStr("it's \\ secret")
)


@pytest.fixture(scope="module", autouse=True)
def _s3() -> Iterator[None]:
    server = ThreadedMotoServer("127.0.0.1", S3, verbose=False)
    server.start()
    boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{S3}",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        region_name="us-east-1",
    ).create_bucket(Bucket=BUCKET)
    yield
    server.stop()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Callable[[str, int], Settings]]:
    """Starts a server with a data directory and a port."""
    with ExitStack() as running:

        def start(name: str, port: int) -> Settings:
            process = clickhouse_server.process(tmp_path / name, tmp_path / "logs", port)
            process.start()
            running.callback(process.stop)
            process.wait_until(lambda: clickhouse_server.answers_ping(port), 60)
            return Settings(clickhouse=ClickHouseSettings(port=port, compress=False), backup=BACKUP)

        yield start


def test_a_server_that_lost_everything_has_it_again(server: Callable[[str, int], Settings]) -> None:
    old, new = server("old", 18625), server("new", 18626)
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
    assert restore(new, name) > 0
    with connect(new.clickhouse) as client:
        assert client.query("SHOW TABLES FROM baggage_poc").result_rows == tables
        assert client.query("SELECT * FROM baggage_poc.flight_current").result_rows == rows
        client.command(f"INSERT INTO baggage_poc.flight_kpis (record) VALUES ('{KPI.replace('BR025', 'BR026')}')")
        assert restore(new, name, replace=True) > 0
        assert client.query("SELECT * FROM baggage_poc.flight_current").result_rows == rows


def test_without_a_place_there_is_no_backup(server: Callable[[str, int], Settings]) -> None:
    settings = server("any", 18627).model_copy(update={"backup": BackupSettings()})
    with pytest.raises(BackupError, match="BAGGAGE_BACKUP__URL is not set"):
        create(settings, AT)
