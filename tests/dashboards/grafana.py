"""What Grafana and its ClickHouse plugin do with what they are provisioned with, as far as the tests need it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import yaml

from baggage.dashboards.render import OUTPUT

Json = dict[str, Any]
#: The value of the option "All".
ALL = "$__all"
#: By variable name: one value, or several.
Variables = dict[str, str | list[str]]

_MACRO = re.compile(r"\$__(?P<name>timeFilter|timeInterval|fromTime|toTime|interval_s)\b(?:\((?P<argument>[^()]*)\))?")
_CONDITIONAL_ALL = "$__conditionalAll("
_VARIABLE = re.compile(r"\$\{(?P<braced>\w+)(?::(?P<format>\w+))?\}|\$(?P<plain>[a-z]\w*)")


@dataclass(frozen=True)
class Query:
    """A query, and where it is: dashboard or rule, panel or variable."""

    where: str
    sql: str
    format: int | None = None

    def __str__(self) -> str:
        return self.where


def dashboards() -> dict[str, Json]:
    """The generated dashboards, by file name without ending."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(OUTPUT.glob("dashboards/*.json"))}


def alerting(name: str) -> Json:
    """A generated file of the alerting."""
    document: Json = yaml.safe_load((OUTPUT / "alerting" / f"{name}.yaml").read_text())
    return document


def rules() -> list[Json]:
    """The alert rules."""
    return [rule for group in alerting("rules")["groups"] for rule in group["rules"]]


def variables(dashboard: Json) -> list[Json]:
    """The template variables of a dashboard."""
    found: list[Json] = dashboard.get("templating", {}).get("list", [])
    return found


def first_options(among: Iterable[Json], now: datetime, ask: Callable[[str], list[tuple[Any, ...]]]) -> Variables:
    """The variables as they are when the dashboards are opened: the first option of each; `ask` runs a query."""
    chosen: Variables = {}
    for variable in (variable for dashboard in among for variable in variables(dashboard)):
        if variable["type"] == "custom":
            chosen[variable["name"]] = variable["current"]["value"]
        elif variable.get("includeAll"):
            chosen[variable["name"]] = ALL
        else:
            rows = ask(interpolate(variable["query"], now - timedelta(hours=6), now, chosen))
            chosen[variable["name"]] = [rows[0][0]]
    return chosen


def time_range(dashboard: Json, now: datetime) -> tuple[datetime, datetime]:
    """The time range of a dashboard that is opened at `now`."""
    hours = re.fullmatch(r"now-(\d+)h", dashboard["time"]["from"])
    if not hours:
        raise ValueError(f"a time range that is not hours: {dashboard['time']}")
    return now - timedelta(hours=int(hours[1])), now


def panel_queries(name: str, dashboard: Json) -> Iterator[Query]:
    """The queries of the panels of a dashboard."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield Query(f"{name}: {panel['title']}", target["rawSql"], target["format"])


def panel_query(name: str, title: str) -> Query:
    """The query of a panel of a dashboard."""
    dashboard = dashboards()[name]
    panels = [panel for panel in dashboard["panels"] if panel["title"] == title]
    (query,) = panel_queries(name, dashboard | {"panels": panels})
    return query


def other_queries(name: str, dashboard: Json) -> Iterator[Query]:
    """The queries of the variables and annotations of a dashboard."""
    for variable in variables(dashboard):
        if variable["type"] == "query":
            yield Query(f"{name}: variable {variable['name']}", variable["query"])
    for annotation in dashboard.get("annotations", {}).get("list", []):
        yield Query(f"{name}: annotation {annotation['name']}", annotation["target"]["rawSql"])


def rule_queries() -> Iterator[Query]:
    """The queries of the alert rules."""
    for rule in rules():
        for query in rule["data"]:
            if query["datasourceUid"] != "__expr__":
                yield Query(f"rule {rule['uid']}: {query['refId']}", query["model"]["rawSql"], query["model"]["format"])


def interpolate(sql: str, start: datetime, end: datetime, values: Variables, points: int = 500) -> str:
    """A query as ClickHouse gets it: first the variables, as Grafana's pages do, then the macros, as the plugin does.

    Raises KeyError for a variable that has no value, ValueError for a macro that the plugin does not have.
    """
    return expand_macros(fill_in(_conditional_all(sql, values), values), start, end, points)


def fill_in(sql: str, values: Variables) -> str:
    """Fill in the variables: `${name:singlequote}` quotes every value, `$name` joins them."""

    def value(match: re.Match[str]) -> str:
        given = values[match["braced"] or match["plain"]]
        several = [given] if isinstance(given, str) else given
        if match["format"] == "singlequote":
            several = ["'" + each.replace("'", "\\'") + "'" for each in several]
        return ",".join(several)

    return _VARIABLE.sub(value, sql)


def _conditional_all(sql: str, values: Variables) -> str:
    """`$__conditionalAll(condition, $name)` is the condition, or true where "All" is chosen."""
    while (start := sql.rfind(_CONDITIONAL_ALL)) >= 0:
        opened, end = start + len(_CONDITIONAL_ALL), start + len(_CONDITIONAL_ALL)
        depth = 1
        while depth:
            depth += {"(": 1, ")": -1}.get(sql[end], 0)
            end += 1
        condition, _, name = sql[opened : end - 1].rpartition(",")
        chosen = values[name.strip().removeprefix("$")]
        sql = sql[:start] + ("1=1" if chosen in (ALL, [ALL], "") else condition) + sql[end:]
    return sql


def expand_macros(sql: str, start: datetime, end: datetime, points: int = 500) -> str:
    """Expand the macros of the ClickHouse plugin for a time range that is shown as so many points."""
    seconds = max(int((end - start) / timedelta(seconds=1) / points), 1)
    first, last = f"toDateTime({int(start.timestamp())})", f"toDateTime({int(end.timestamp())})"

    def expanded(match: re.Match[str]) -> str:
        column = match["argument"]
        return {
            "fromTime": first,
            "toTime": last,
            "interval_s": str(seconds),
            "timeFilter": f"{column} >= {first} AND {column} <= {last}",
            "timeInterval": f"toStartOfInterval(toDateTime({column}), INTERVAL {seconds} second)",
        }[match["name"]]

    text = _MACRO.sub(expanded, sql)
    if "$" in text:
        raise ValueError(f"not expanded: {text[text.index('$') :][:60]}")
    return text
