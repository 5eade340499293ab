"""Evaluates an alert rule as Grafana does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tests.dashboards.engine import Tables
from tests.dashboards.grafana import expand_macros, rules

#: Of today, and fixed while the tests run: the tables forget by the wall clock.
NOW = datetime.now(UTC).replace(microsecond=0)
RULES = {rule["uid"]: rule for rule in rules()}


@dataclass(frozen=True)
class Instance:
    """One firing alert: its labels and the numbers that its text can use."""

    labels: dict[str, str]
    values: dict[str, float]


def evaluate(tables: Tables, uid: str, at: datetime = NOW) -> list[Instance] | None:
    """The instances of a rule that fire at a time, or None where its query answers nothing.

    A row is a number and its labels, the text columns; the rows of the other queries with the same labels give the
    other numbers.
    """
    rule = RULES[uid]
    found: dict[str, dict[frozenset[tuple[str, str]], float]] = {}
    for query in rule["data"][:-1]:
        window = query["relativeTimeRange"]
        start, end = (at - timedelta(seconds=window[side]) for side in ("from", "to"))
        answer = tables.ask(expand_macros(query["model"]["rawSql"], start, end))
        if not answer.rows:
            return None
        numbers = [n for n, kind in enumerate(answer.types) if kind == "Float64"]
        assert len(numbers) == 1, "Grafana takes one number a row"
        assert all(kind == "String" for n, kind in enumerate(answer.types) if n not in numbers)
        found[query["refId"]] = {
            frozenset((answer.columns[n], cell) for n, cell in enumerate(row) if n not in numbers): row[numbers[0]]
            for row in answer.rows
        }
        assert len(found[query["refId"]]) == len(answer.rows), "labels tell the instances apart"
    threshold = rule["data"][-1]["model"]
    assert threshold["refId"] == rule["condition"]
    (condition,) = threshold["conditions"]
    assert condition["evaluator"]["type"] == "gt"
    (limit,) = condition["evaluator"]["params"]
    return [
        Instance(dict(labels), {name: values[labels] for name, values in found.items()})
        for labels, value in found[threshold["expression"]].items()
        if value > limit
    ]
