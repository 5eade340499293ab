"""A few days of the generator with its default settings, made once."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from baggage.generator.day import Day
from baggage.settings import GeneratorSettings

DATE = date(2026, 1, 4)
MIDNIGHT = datetime(2026, 1, 4, tzinfo=UTC)
SETTINGS = GeneratorSettings(seed=20260104)


@pytest.fixture(scope="session")
def days() -> list[Day]:
    return [Day(SETTINGS, DATE + timedelta(days=n)) for n in range(5)]


@pytest.fixture(scope="session")
def day(days: list[Day]) -> Day:
    return days[0]
