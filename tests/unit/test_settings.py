"""Specification section 9: the defaults; design, "Clock"; and settings by environment variable."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.request import proxy_bypass

import pytest
from clickhouse_connect.driver.httputil import check_env_proxy
from pydantic import SecretStr

import baggage
from baggage.domain.journey import LATE_SCANS
from baggage.local import clock_file
from baggage.settings import (
    ClickHouseSettings,
    ClockSettings,
    FlinkSettings,
    GeneratorSettings,
    KafkaSettings,
    Settings,
    read_settings,
)

PROGRAMS = Path(baggage.__file__).parent.glob("*/__main__.py")
#: What a program wants to be told besides.
ARGUMENTS = {"backup": ("create",), "cluster": ("status",), "local": ("clean",)}

NOON = datetime(2026, 1, 4, 12, tzinfo=UTC)


def test_the_defaults_are_the_numbers_of_the_specification() -> None:
    settings = GeneratorSettings()
    assert (settings.airport, settings.hub, settings.flights) == ("LHR", "AMS", 120)
    assert (settings.passengers_mean, settings.passengers_std) == (160, 30)
    assert (settings.passengers_min, settings.passengers_max) == (80, 240)
    assert settings.bags_per_passenger == (0.15, 0.55, 0.25, 0.05)
    assert settings.transfer_ratio == 0.30
    assert (settings.connection_mean_min, settings.connection_std_min) == (80, 20)
    assert (settings.connection_min_min, settings.connection_max_min) == (45, 180)
    assert (settings.check_in_mean_min, settings.check_in_std_min) == (120, 30)
    assert (settings.check_in_min_min, settings.check_in_max_min) == (60, 240)
    assert (settings.induction_p50_min, settings.induction_p90_min) == (5, 15)
    assert (settings.screening_p50_min, settings.screening_p90_min) == (3, 10)
    assert (settings.makeup_p50_min, settings.makeup_p90_min) == (10, 25)
    assert settings.load_margin_min == 5
    assert (settings.out_of_order_rate, settings.out_of_order_min_min, settings.out_of_order_max_min) == (0.05, 2, 6)
    assert (settings.duplicate_rate, settings.missing_scan_rate, settings.miss_connection_rate) == (0.02, 0.02, 0.02)
    assert FlinkSettings().checkpoint_interval == timedelta(seconds=30)
    assert timedelta(minutes=10) == LATE_SCANS
    assert not Settings().rules.cleared_ends_exception


def test_a_setting_is_an_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAGGAGE_GENERATOR__FLIGHTS", "24")
    monkeypatch.setenv("BAGGAGE_KAFKA__BOOTSTRAP_SERVERS", "kafka:9092")
    assert Settings().generator.flights == 24
    assert Settings().kafka.bootstrap_servers == "kafka:9092"


def test_settings_survive_the_way_through_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(
        clock=ClockSettings(speed=60, anchor=NOON, started=NOON),
        kafka=KafkaSettings(bootstrap_servers="there:1", feeds_password=SecretStr("secret word")),
        clickhouse=ClickHouseSettings(password=SecretStr("another"), password_file=Path(__file__)),
        flink=FlinkSettings(checkpoint_interval=timedelta(seconds=7), job_options={"a": "b"}),
        generator=GeneratorSettings(bags_per_passenger=(0.1, 0.6, 0.2, 0.1)),
    )
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("BAGGAGE_GENERATOR__SED", "30", "{}: there is no such setting; the nearest is BAGGAGE_GENERATOR__SEED"),
        ("BAGGAGE_GENERATR__SEED", "30", "{}: there is no such setting; the nearest is BAGGAGE_GENERATOR__SEED"),
        ("BAGGAGE_GENERATOR_SEED", "30", "{}: there is no such setting; the nearest is BAGGAGE_GENERATOR__SEED"),
        ("BAGAGE_GENERATOR__SEED", "30", "{}: there is no such setting; the nearest is BAGGAGE_GENERATOR__SEED"),
        ("BAGGAGE_CLOCK", '{"speed": 1}', "{}: there is no such setting; the nearest is BAGGAGE_CLOCK__SPEED"),
        (
            "BAGGAGE_FLINK__JOB_OPTIONS__A",
            "b",
            "{}: there is no such setting; the nearest is BAGGAGE_FLINK__JOB_OPTIONS",
        ),
        ("BAGGAGE_GENERATOR__FLIGHTS", "3", "{}=3: Input should be greater than or equal to 24"),
        ("BAGGAGE_GENERATOR__FLIGHTS", "", "{}=: Input should be a valid integer"),
        ("BAGGAGE_GENERATOR__PASSENGERS_MEAN", "nan", "{}=nan: Input should be a finite number"),
        ("BAGGAGE_GENERATOR__DUPLICATE_RATE", "2", "{}=2: Input should be less than or equal to 1"),
        ("BAGGAGE_GENERATOR__BAGS_PER_PASSENGER", "[0.5,", "{}=[0.5,: must be JSON"),
        ("BAGGAGE_GENERATOR__BAGS_PER_PASSENGER", "[0.5, 0.2, 0.1, 0.1]", "{} must add up to 1"),
        (
            "BAGGAGE_GENERATOR__PASSENGERS_MEAN",
            "30",
            "{} must be between the smallest and the largest value, 80 and 240",
        ),
        ("BAGGAGE_GENERATOR__CHECK_IN_STD_MIN", "1440", None),
        ("BAGGAGE_GENERATOR__CHECK_IN_STD_MIN", "1441", "{}=1441: Input should be less than or equal to 1440"),
        ("BAGGAGE_GENERATOR__PASSENGERS_STD", "1601", "{} must be at most ten times what is between 80 and 240"),
        (
            "BAGGAGE_GENERATOR__MAKEUP_P50_MIN",
            "26",
            "{} must not be more than BAGGAGE_GENERATOR__MAKEUP_P90_MIN: 26.0 and 25",
        ),
        ("BAGGAGE_GENERATOR__HUB", "LHR", "BAGGAGE_GENERATOR__AIRPORT and {} are both LHR"),
        ("BAGGAGE_CLOCK__SPEED", "60", "{} needs BAGGAGE_CLOCK__ANCHOR and BAGGAGE_CLOCK__STARTED"),
        ("BAGGAGE_FLINK__JOB_OPTIONS", "parallelism", "{}=parallelism: must be JSON"),
        ("BAGGAGE_KAFKA__BOOTSTRAP_SERVERS", "kafka", "{}=kafka: String should match pattern"),
        ("BAGGAGE_LOG_LEVEL", "LOUD", "{}=LOUD: Input should be 'DEBUG', 'INFO', 'WARNING', 'ERROR' or 'CRITICAL'"),
        ("BAGGAGE_LOG_LEVEL", "debug", None),
        ("BAGGAGE_GENERATOR__BAGS_PER_PASSENGER", "[" * 5000, "{}=[[["),
        ("BAGGAGE_GENERATOR__BAGS_PER_PASSENGER", '["a", 1, 2, 3]', "{}="),
        ("BAGGAGE_GENERATOR__SEED", "1\n2", "{}=1\\n2: Input should be a valid integer"),
        ("BAGGAGE_GENERATOR__S\nEED", "1", "BAGGAGE_GENERATOR__S\\nEED: there is no such setting"),
        ("BAGGAGE_KAFKA__FEEDS_PASSWORD", "short", "{}=***: Value should have at least 8 items"),
        ("BAGGAGE_BACKUP__URL", "https://user:word@x y", "{}=https://***@x y: String should match pattern"),
        ("BAGGAGE_KAFKA__MIN_INSYNC_REPLICAS", "2", "{} must not be more than BAGGAGE_KAFKA__REPLICATION_FACTOR"),
        ("BAGGAGE_CLICKHOUSE__HOST", "", "{}=: String should have at least 1 character"),
        ("BAGGAGE_CLICKHOUSE__PASSWORD_FILE", "/nope", "{}=/nope: it cannot be read"),
        ("BAGGAGE_CLOCK__ANCHOR", "2026-01-04T12:00:00", "{}=2026-01-04T12:00:00: Input should have timezone info"),
        ("BAGGAGE_CLOCK__ANCHOR", "9999-12-31T23:59:59Z", "{}=9999-12-31T23:59:59Z: the year must be from 2000"),
        ("BAGGAGE_LOCAL__KAFKA_PORT", "65535", "{}=65535: Input should be less than or equal to 65534"),
        ("BAGGAGE_FLINK__CHECKPOINT_INTERVAL", "PT2M", None),
        ("BAGGAGE_FLINK__CHECKPOINT_INTERVAL", "PT5M", "{}=PT5M: Input should be less than or equal to 2 minutes"),
    ],
)
def test_a_wrong_setting_ends_the_program_with_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, line: str | None
) -> None:
    monkeypatch.setenv(name, value)
    if line is None:
        read_settings()
        return
    with pytest.raises(SystemExit) as end:
        read_settings()
    said = str(end.value.code)
    assert said.startswith(f"error: {line.format(name)}")
    assert len(said.splitlines()) == 1


def test_each_of_several_wrong_settings_has_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAGGAGE_GENERATOR__FLIGHTS", "3")
    monkeypatch.setenv("BAGGAGE_LOG_LEVEL", "LOUD")
    with pytest.raises(SystemExit) as end:
        read_settings()
    assert [line.partition("=")[0] for line in str(end.value.code).splitlines()] == [
        "error: BAGGAGE_GENERATOR__FLIGHTS",
        "error: BAGGAGE_LOG_LEVEL",
    ]


@pytest.mark.parametrize("program", sorted(path.parent.name for path in PROGRAMS))
def test_every_program_refuses_what_is_no_setting(program: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", f"baggage.{program}", *ARGUMENTS.get(program, ())],
        env=os.environ | {"BAGGAGE_GENERATR__SEED": "30"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert ran.stderr == (
        "error: BAGGAGE_GENERATR__SEED: there is no such setting; the nearest is BAGGAGE_GENERATOR__SEED\n"
    )


@pytest.mark.parametrize("speed", ["0", "-1", "nan", "fast", "1e9"])
def test_an_impossible_speed_is_one_line(speed: str) -> None:
    command = [sys.executable, "-m", "baggage.local", "run", f"--speed={speed}"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert ran.stderr.startswith(f"error: SPEED={speed}: Input should be ")
    assert len(ran.stderr.splitlines()) == 1


def test_no_proxy_is_asked_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "airport.example")
    monkeypatch.delenv("NO_PROXY", raising=False)
    read_settings()
    assert all(proxy_bypass(host) for host in ("127.0.0.1", "localhost", "airport.example"))
    assert not proxy_bypass("elsewhere.example")
    assert check_env_proxy("http", "127.0.0.1", 8123) is None
    assert check_env_proxy("http", "elsewhere.example", 8123)


def test_the_clock_is_the_wall_clock_at_speed_1() -> None:
    assert abs(ClockSettings().clock().now() - datetime.now(UTC)) < timedelta(seconds=1)


def test_the_clock_runs_from_its_anchor_at_its_speed() -> None:
    started = datetime(2026, 6, 1, tzinfo=UTC)
    clock = ClockSettings(speed=60, anchor=NOON, started=started).clock()
    assert clock.at(started) == NOON
    assert clock.at(started + timedelta(minutes=1)) == NOON + timedelta(hours=1)
    assert clock.real(NOON + timedelta(hours=1)) == started + timedelta(minutes=1)


def test_the_next_run_goes_on_from_where_the_clock_stood(tmp_path: Path) -> None:
    file = tmp_path / "clock"
    assert clock_file.resumed(ClockSettings(), file) == ClockSettings()
    first = ClockSettings(speed=60, anchor=NOON, started=datetime.now(UTC) - timedelta(minutes=2))
    clock_file.save(first, file)
    resumed = clock_file.resumed(ClockSettings(speed=1), file)
    assert resumed.anchor is not None
    assert abs(resumed.anchor - (NOON + timedelta(hours=2))) < timedelta(minutes=1)
    assert resumed.speed == 1
