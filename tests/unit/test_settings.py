"""Specification section 9: the defaults; design, "Clock"; and settings by environment variable."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from baggage.domain.journey import LATE_SCANS
from baggage.local import clock_file
from baggage.settings import ClockSettings, FlinkSettings, GeneratorSettings, KafkaSettings, Settings

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
        kafka=KafkaSettings(bootstrap_servers="there:1"),
        flink=FlinkSettings(checkpoint_interval=timedelta(seconds=7), job_options={"a": "b"}),
        generator=GeneratorSettings(bags_per_passenger=(0.1, 0.6, 0.2, 0.1)),
    )
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("BAGGAGE_CLOCK__SPEED", "60", "BAGGAGE_CLOCK__ANCHOR"),
        ("BAGGAGE_GENERATOR__BAGS_PER_PASSENGER", "[0.5, 0.2, 0.1, 0.1]", "add up to 1"),
        ("BAGGAGE_GENERATOR__DUPLICATE_RATE", "2", "less than or equal to 1"),
        ("BAGGAGE_GENERATOR__PASSENGERS_MEAN", "30", "between the smallest and the largest value, 80 and 240"),
        ("BAGGAGE_GENERATOR__CHECK_IN_MEAN_MIN", "300", "BAGGAGE_GENERATOR__CHECK_IN_MEAN_MIN must be between"),
    ],
)
def test_a_wrong_setting_says_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError, match=message):
        Settings()


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
