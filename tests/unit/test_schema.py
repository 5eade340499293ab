"""Specification section 7 and the views, on the ClickHouse engine itself."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from baggage.domain.alerts import evaluate
from baggage.domain.bags import BagFacts, bag_latest
from baggage.domain.dead_letters import dead_letter
from baggage.domain.flights import UnscheduledFlight
from baggage.domain.itineraries import itinerary_state, itinerary_status
from baggage.domain.journey import BagJourney, JourneyState
from baggage.domain.kpis import StageCounts, flight_kpi
from baggage.domain.records import Record, RecordError
from baggage.domain.stages import Stage
from baggage.provision.schema import migrations, statements, views
from tests.builders import event, flight

DATABASE = "baggage_poc"
SCHEMA = [
    f"CREATE DATABASE IF NOT EXISTS {DATABASE}",
    *(statement for migration in migrations() for statement in statements(migration.sql, DATABASE)),
    *statements(views(), DATABASE),
]
#: Section 7.2, word for word.
SPECIFIED = {
    "flight_kpis": {
        "ts": "DateTime",
        "flight_id": "String",
        "dep_time": "DateTime",
        "bag_cutoff_time": "DateTime",
        "expected_bags": "UInt32",
        "checked_in": "UInt32",
        "inducted": "UInt32",
        "cleared": "UInt32",
        "makeup": "UInt32",
        "loaded": "UInt32",
        "loaded_pct": "Float32",
        "missing": "UInt32",
        "freshness_sec": "UInt32",
    },
    "bag_latest": {
        "ts": "DateTime",
        "bag_id": "String",
        "itinerary_id": "String",
        "customer_id": "String",
        "flight_id": "String",
        "leg_index": "UInt8",
        "stage": "String",
        "last_scan_point": "String",
        "last_event_time": "DateTime",
    },
    "alerts": {
        "created_at": "DateTime",
        "alert_id": "String",
        "flight_id": "String",
        "severity": "String",
        "rule_id": "String",
        "payload_json": "String",
    },
    "itinerary_status": {
        "ts": "DateTime",
        "itinerary_id": "String",
        "customer_id": "String",
        "bags_total": "UInt8",
        "journey_state": "String",
        "current_leg_index": "UInt8",
        "risk_flag": "UInt8",
        "details_json": "String",
    },
    "notifications": {
        "created_at": "DateTime",
        "notification_id": "String",
        "itinerary_id": "String",
        "customer_id": "String",
        "journey_state": "String",
        "payload_json": "String",
    },
}
NOW = datetime(2099, 1, 4, 10, 0, 1, 250_000, tzinfo=UTC)
NASTY = 'back\\slash "quotes" \U0001f9f3'
#: A record for each table, with what the specification calls its columns.
RECORDS: dict[str, Record] = {
    "flight_kpis": flight_kpi(flight(expected=3), StageCounts.of([Stage.LOADED, Stage.CHECKED_IN]), 7, NOW),
    "bag_latest": bag_latest(BagFacts.of(event(scan_point=NASTY)), NOW, NOW),
    "itinerary_status": itinerary_status(
        itinerary_state("ITI1", NASTY, 2, {"B1": BagJourney(JourneyState.AT_RISK_FOR_CONNECTION, 1)}), NOW
    ),
    "dead_letters": dead_letter("topic", 2, 7, b"k", b"v", RecordError("leg_index", NASTY), NOW),
    "unscheduled_flights": UnscheduledFlight(ts=NOW, flight_id="BR25|2026-01-04|LHR->AMS", bags=2, events=5),
}


_ENGINE = """
import sys, chdb
connection = chdb.connect(sys.argv[1])
for statement in sys.stdin.read().split("\\0"):
    print(str(connection.query(statement, "TSV")), end="\\0")
"""


def test_the_times_that_views_take_are_utc_whatever_the_zone_of_the_server() -> None:
    assert re.findall(r"\{\w+:DateTime\}", views()) == []


def engine(path: Path, *queries: str) -> list[list[list[str]]]:
    """Run statements on the engine, in a process of its own: it allows one data directory a process."""
    done = subprocess.run(
        [sys.executable, "-c", _ENGINE, str(path)], input="\0".join(queries), capture_output=True, text=True, check=True
    )
    answers = done.stdout.split("\0")[:-1]
    return [[line.split("\t") for line in answer.splitlines()] for answer in answers]


@pytest.fixture(scope="module")
def columns(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    twice = SCHEMA * 2
    query = f"SELECT table, name, type FROM system.columns WHERE database = '{DATABASE}' "
    query += "AND default_kind NOT IN ('EPHEMERAL', 'MATERIALIZED') ORDER BY table, position"
    tables: dict[str, dict[str, str]] = {}
    for table, name, kind in engine(tmp_path_factory.mktemp("engine"), *twice, query)[-1]:
        tables.setdefault(table, {})[name] = re.sub(r"DateTime\(.*UTC.*\)", "DateTime", kind)
    return tables


@pytest.mark.parametrize("table", SPECIFIED)
def test_the_tables_are_exactly_as_specified(table: str, columns: dict[str, dict[str, str]]) -> None:
    assert columns[table] == SPECIFIED[table]


@pytest.mark.parametrize("table", RECORDS)
def test_a_record_in_json_becomes_a_row(table: str, tmp_path: Path) -> None:
    record = RECORDS[table].to_json().decode().replace("\\", "\\\\").replace("'", "\\'")
    answers = engine(
        tmp_path,
        *SCHEMA,
        f"INSERT INTO {DATABASE}.{table} (record) VALUES ('{record}')",
        f"SELECT * FROM {DATABASE}.{table} FORMAT JSONEachRow",
    )
    row = json.loads("\n".join("\t".join(line) for line in answers[-1]))
    written = json.loads(RECORDS[table].to_json())
    for column, value in row.items():
        expected = written[column]
        if isinstance(expected, bool):
            expected = int(expected)
        elif isinstance(expected, float):
            expected = pytest.approx(expected)
        elif column == "ts" or column.endswith("_time"):
            expected = expected[:19].replace("T", " ")
        assert (int(value) if isinstance(expected, int) else value) == expected, column


def test_alerts_and_notifications_keep_their_whole_record(tmp_path: Path) -> None:
    late = flight(dep=NOW, expected=3)
    (alert,) = evaluate(flight_kpi(late, StageCounts(), 0, late.bag_cutoff_time))
    record = alert.to_json().decode()
    answers = engine(
        tmp_path,
        *SCHEMA,
        *(f"INSERT INTO {DATABASE}.{table} (record) VALUES ('{record}')" for table in ("alerts", "withheld_alerts")),
        f"SELECT created_at, alert_id, flight_id, severity, rule_id, payload_json FROM {DATABASE}.alerts",
        f"SELECT alert_id FROM {DATABASE}.withheld_alerts",
    )
    assert answers[-2] == [
        [f"{alert.now:%F %T}", alert.alert_id, alert.flight_id, "WARN", "LOW_LOAD_RATE", record],
    ]
    assert answers[-1] == [[alert.alert_id]]


def test_the_tables_are_partitioned_by_date_and_forget_after_a_while() -> None:
    for table in SPECIFIED:
        create = next(s for s in SCHEMA if f"EXISTS {DATABASE}.{table}\n" in s)
        assert "ENGINE = MergeTree" in create
        assert re.search(r"PARTITION BY toDate\((ts|created_at)\)", create)
        assert "TTL " in create


def test_the_view_of_bags_knows_the_stages_in_order() -> None:
    lists = re.findall(r"indexOf\(\[(.*?)\]", views(), re.DOTALL)
    assert lists
    for listed in lists:
        assert re.findall(r"'(\w+)'", listed) == [stage.name for stage in Stage]


def test_the_views_of_a_time_say_the_same_as_the_current_ones() -> None:
    """Each view `…_at` is its view `…_current` with the two bounds of time."""
    bounds = "WHERE ts > {since:DateTime('UTC')} AND ts <= {at:DateTime('UTC')} "
    views = {
        found[1]: " ".join(statement.split()).partition(" AS ")[2]
        for statement in SCHEMA
        if (found := re.search(r"VIEW \w+\.(\w+)", statement))
    }
    of_a_time = [name for name in views if name.endswith("_at")]
    assert len(of_a_time) == 3
    for name in of_a_time:
        assert bounds in views[name]
        assert views[name].replace(bounds, "") == views[name.replace("_at", "_current")]


def test_the_current_views_are_not_fooled_by_a_replay(tmp_path: Path) -> None:
    bag = "('{}', 'B1', 'I', 'C', 'F', {}, '{}', 'P', '2026-11-01 10:00:00')"
    replayed = [(0, 0, "MAKEUP"), (1, 0, "LOADED"), (2, 1, "EXPECTED"), (3, 0, "MAKEUP"), (4, 0, "LOADED")]
    bags = ", ".join(bag.format(f"2099-11-01 10:00:0{second}", leg, stage) for second, leg, stage in replayed)
    kpi = "('2099-11-01 10:00:{}', 'F1', '2099-11-01 12:00:00', '2099-11-01 11:00:00', 9, {n}, {n}, 0, 0, 0, 0, 9, 0)"
    kpis = ", ".join([kpi.format("10", n=3), kpi.format("20", n=5), kpi.format("20", n=4)])
    alert = "('2099-11-01 10:00:00', 'A1', 'F1', 'WARN', 'R', '{}')"
    answers = engine(
        tmp_path,
        *SCHEMA,
        f"INSERT INTO {DATABASE}.bag_latest VALUES {bags}",
        f"INSERT INTO {DATABASE}.flight_kpis VALUES {kpis}",
        f"INSERT INTO {DATABASE}.alerts VALUES {alert}, {alert}",
        f"SELECT leg_index, stage FROM {DATABASE}.bag_current",
        f"SELECT checked_in FROM {DATABASE}.flight_current",
        f"SELECT count() FROM {DATABASE}.alert_current",
    )
    assert answers[-3:] == [[["1", "EXPECTED"]], [["5"]], [["1"]]]
