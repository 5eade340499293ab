"""The board: a live view at a terminal, plain lines elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from rich import box
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from baggage.domain.alerts import LOW_LOAD_BEFORE_CUTOFF
from baggage.local.board_data import Board


@dataclass(frozen=True)
class Health:
    """How the pipeline itself is doing, beside what its tables say."""

    running_jobs: int
    jobs: int
    events_per_second: float
    #: What is wrong, a sentence each.
    findings: list[str]


_STATE_STYLE = {"EXCEPTION": "magenta", "DELAYED_OR_REROUTED": "red", "AT_RISK_FOR_CONNECTION": "yellow"}
_SEVERITY_STYLE = {"CRITICAL": "bold red", "WARN": "yellow"}
_BAR = 24


def render(board: Board, health: Health, addresses: dict[str, str]) -> RenderableType:
    """The board for a terminal."""
    places = "   ".join(f"[dim]{name}[/dim] {address}" for name, address in addresses.items())
    return Group(
        Text.from_markup(f"[bold]Baggage[/bold] {board.now:%Y-%m-%d %H:%M:%S} UTC   {_health(board, health)}"),
        Text.from_markup(places),
        *(Text(finding, style="bold red") for finding in health.findings),
        _flights(board),
        Columns([_funnel(board), _troubled(board)]),
        Columns([_alerts(board), _notifications(board)]),
        Text.from_markup("[dim]Ctrl-C stops everything; the next run goes on from here[/dim]"),
    )


def line(board: Board, health: Health) -> str:
    """The board in one line, for a log."""
    critical = sum(alert["severity"] == "CRITICAL" for alert in board.alerts)
    states = " ".join(f"{state}={count}" for state, count in sorted(board.itineraries.items()))
    return (
        f"{board.now:%Y-%m-%dT%H:%M:%SZ} expected={board.funnel['expected']} "
        f"loaded={board.funnel['loaded']} alerts={len(board.alerts)} critical={critical} {states} "
        f"jobs={health.running_jobs}/{health.jobs} events/s={health.events_per_second:.0f} "
        f"freshness={_freshness(board)} dead_letters={board.dead_letters}"
        f"{''.join(f'; {finding}' for finding in health.findings)}"
    )


def _health(board: Board, health: Health) -> str:
    letters = f"[red]{board.dead_letters}[/red]" if board.dead_letters else "0"
    jobs = f"{health.running_jobs}/{health.jobs}"
    return (
        f"jobs {jobs if health.running_jobs == health.jobs else f'[red]{jobs}[/red]'}   "
        f"events/s {health.events_per_second:.0f}   freshness {_freshness(board)}   dead letters {letters}   "
        f"rows: {board.kpi_rows:,} KPI, {board.bag_rows:,} bag"
    )


def _freshness(board: Board) -> str:
    return "-" if board.freshness is None else f"{board.freshness} s"


def _flights(board: Board) -> RenderableType:
    table = Table(box=box.SIMPLE_HEAD, title="Flights of the next 6 hours", title_justify="left", expand=True)
    for name, justify in (("flight", "left"), ("departs", "right"), ("cutoff in", "right"), ("checked in", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for name in ("loaded", "of", "missing"):
        table.add_column(name, justify="right")
    for row in board.flights:
        left = _utc(row["bag_cutoff_time"]) - board.now
        minutes = int(left.total_seconds() // 60)
        urgent = left < LOW_LOAD_BEFORE_CUTOFF and row["missing"]
        style = "" if not urgent else "bold red" if minutes < 0 else "yellow"
        table.add_row(
            row["flight_id"],
            f"{row['dep_time']:%H:%M}",
            f"{minutes} min",
            str(row["checked_in"]),
            f"{row['loaded']} ({row['loaded_pct']:.0f} %)",
            str(row["expected_bags"]),
            str(row["missing"]),
            style=style,
        )
    return table if board.flights else Panel("no flight has a KPI row yet", title="Flights of the next 6 hours")


def _funnel(board: Board) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    most = max(board.funnel["expected"], 1)
    for stage, count in board.funnel.items():
        table.add_row(stage.replace("_", " "), f"{count:,}", "█" * round(_BAR * count / most))
    return Panel(table, title="Bags of these flights, by stage reached", title_align="left")


def _troubled(board: Board) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    for state, style in _STATE_STYLE.items():
        table.add_row(Text(state, style=style), str(board.itineraries.get(state, 0)), "")
    for row in board.troubled[:5]:
        table.add_row(Text(row["itinerary_id"]), f"{row['bags_total']} bags", Text(row["journey_state"]))
    return Panel(table, title="Itineraries in trouble, newest first", title_align="left")


def _alerts(board: Board) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    for row in board.alerts[:8]:
        severity = Text(row["severity"], style=_SEVERITY_STYLE[row["severity"]])
        table.add_row(
            f"{row['last']:%H:%M:%S}", severity, row["rule_id"], row["flight_id"], f"{row['missing']} missing"
        )
    return Panel(table if board.alerts else "no alert", title="Alerts of the last 2 minutes", title_align="left")


def _notifications(board: Board) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    for row in board.notifications[:8]:
        table.add_row(f"{row['created_at']:%H:%M:%S}", row["itinerary_id"], row["journey_state"])
    return Panel(table if board.notifications else "none", title="Notifications", title_align="left")


def _utc(naive: datetime) -> datetime:
    return naive if naive.tzinfo else naive.replace(tzinfo=UTC)
