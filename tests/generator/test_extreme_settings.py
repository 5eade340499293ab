"""Whatever settings are accepted, a day can be planned and published."""

from __future__ import annotations

from datetime import timedelta

import pytest
from annotated_types import Ge, Gt, Le
from pydantic import ValidationError

from baggage.generator.day import Day
from baggage.settings import GeneratorSettings
from tests.generator.conftest import DATE, MIDNIGHT
from tests.generator.test_days import PARSERS

SMALL = {"flights": 24, "passengers_min": 2, "passengers_mean": 5, "passengers_std": 2, "passengers_max": 9}


def extremes() -> list[dict[str, object]]:
    """Each bound of each number, alone."""
    found: list[dict[str, object]] = []
    for name, field in GeneratorSettings.model_fields.items():
        for bound in field.metadata:
            match bound:
                case Ge(value) | Le(value):
                    found.append({name: value})
                case Gt(value):
                    found.append({name: float(value) + 1e-6})  # type: ignore[arg-type]
                case _:
                    pass
    return found


#: Several at once, where one alone is refused or harmless.
TOGETHER: list[dict[str, object]] = [
    {"connection_min_min": 0, "connection_mean_min": 0, "connection_std_min": 0, "connection_max_min": 0},
    {"connection_min_min": 720, "connection_mean_min": 720, "connection_std_min": 0, "connection_max_min": 720},
    {"check_in_min_min": 0, "check_in_mean_min": 0, "check_in_std_min": 0, "check_in_max_min": 0},
    {"check_in_min_min": 1440, "check_in_mean_min": 1440, "check_in_std_min": 0, "check_in_max_min": 1440},
    {"out_of_order_min_min": 1440, "out_of_order_max_min": 1440, "out_of_order_rate": 1},
    {"passengers_min": 1, "passengers_mean": 1, "passengers_std": 0, "passengers_max": 1},
    {"bags_per_passenger": (1, 0, 0, 0)},
    {"bags_per_passenger": (0, 0, 0, 1)},
    {"duplicate_rate": 1, "missing_scan_rate": 1, "out_of_order_rate": 1, "alarm_rate": 1, "miss_connection_rate": 1},
    {"airport": "FRA", "hub": "CDG"},
]


@pytest.mark.parametrize("extreme", [*extremes(), *TOGETHER], ids=str)
def test_a_day_can_be_published(extreme: dict[str, object]) -> None:
    small = SMALL if "flights" not in extreme or extreme["flights"] == 24 else SMALL | {"transfer_ratio": 0}
    try:
        settings = GeneratorSettings(**(small | extreme))  # type: ignore[arg-type]
    except ValidationError:
        return
    day = Day(settings, DATE)
    assert all(flight.origin != flight.dest for flight in day.plan.flights)
    for publication in day.publications(MIDNIGHT - timedelta(days=3), MIDNIGHT + timedelta(days=4)):
        if publication.record:
            assert PARSERS[publication.topic](publication.key.encode(), publication.record.to_json())
