"""Each alert rule of servers and jobs, on both sides of its bound, and what is said in words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import pytest

from baggage.monitor.samples import INTERVAL, Measure
from tests.builders import MINUTE, SECOND
from tests.dashboards.alerting import NOW, RULES, Instance, evaluate
from tests.dashboards.engine import Tables

JOB = {"flink_job": "BagLatest"}
TOPIC = JOB | {"topic": "baggage.events.v1"}
ROLLOUT = "org.apache.flink.util.FlinkExpectedException: The TaskExecutor is shutting down."
HEALTH = {
    "baggage-job-down",
    "baggage-job-restarts",
    "baggage-no-checkpoint",
    "baggage-lag-grows",
    "baggage-disk-full",
    "baggage-component-silent",
    "baggage-not-measured",
    "baggage-backup-failed",
}


def seed(
    tables: Tables, measure: Measure, labels: Mapping[str, str], values: Mapping[int, float], note: str = ""
) -> None:
    """Write a sample of so many seconds ago, each."""
    rows = ", ".join(
        f"('{NOW - ago * SECOND:%F %T}', '{measure}', {dict(labels)}, {value}, '{note}')"
        for ago, value in values.items()
    )
    tables.command(f"INSERT INTO pipeline_health VALUES {rows}")


def says(tables: Tables) -> list[str]:
    return [row[0] for row in tables.ask(f"SELECT says FROM pipeline_findings(at = '{NOW:%F %T}')").rows]


def fires(tables: Tables, uid: str) -> dict[str, float]:
    """The subjects that a rule fires for, and their numbers; no other rule fires."""
    firing = {name for name in HEALTH if evaluate(tables, name)}
    assert firing <= {uid}
    return {instance.labels["subject"]: instance.values["value"] for instance in evaluate(tables, uid) or ()}


DOWN = [
    (Measure.JOB_RUNNING, JOB, "baggage-job-down", "BagLatest"),
    (Measure.ANSWERS, {"component": "Kafka"}, "baggage-component-silent", "Kafka"),
]


@pytest.mark.parametrize(("measure", "labels", "uid", "subject"), DOWN)
class TestWhatIsDown:
    """A job, and a server, that is down for more than a minute."""

    @pytest.mark.parametrize(("up", "down"), [(60, False), (61, True)])
    def test_a_minute_counts_from_when_it_was_last_up(
        self, measure: Measure, labels: dict[str, str], uid: str, subject: str, up: int, down: bool, tables: Tables
    ) -> None:
        seed(tables, measure, labels, {up + 15: 1, up: 1, 30: 0, 15: 0, 0: 0}, "RESTARTING")
        assert fires(tables, uid) == ({subject: up} if down else {})
        assert [said.endswith(": RESTARTING") for said in says(tables)] == [True] * down

    def test_one_that_is_up_again_is_well(
        self, measure: Measure, labels: dict[str, str], uid: str, subject: str, tables: Tables
    ) -> None:
        seed(tables, measure, labels, {300: 1, 90: 0, 15: 0, 0: 1})
        assert subject not in fires(tables, uid)

    def test_since_when_is_said_however_long_ago_that_is(
        self, measure: Measure, labels: dict[str, str], uid: str, subject: str, tables: Tables
    ) -> None:
        day = 24 * 3600
        seed(tables, measure, labels, {day: 1} | dict.fromkeys(range(0, day, 15), 0))
        assert fires(tables, uid) == {subject: day}
        assert f" since {NOW - day * SECOND:%F %H:%M}: " in says(tables)[0]

    def test_what_was_while_nothing_was_measured_is_not_known(
        self, measure: Measure, labels: dict[str, str], uid: str, subject: str, tables: Tables
    ) -> None:
        seed(tables, measure, labels, {1200: 1, 45: 0, 30: 0, 15: 0, 0: 0})
        assert subject not in fires(tables, uid)


@pytest.mark.parametrize(("down", "bound"), list(zip(DOWN, (180, 60), strict=True)), ids=("job", "server"))
def test_one_that_was_never_up_counts_from_the_first_sample_and_a_job_has_three_minutes(
    down: tuple[Measure, dict[str, str], str, str], bound: int, tables: Tables
) -> None:
    measure, labels, uid, subject = down
    seed(tables, measure, labels, dict.fromkeys(range(0, bound + 15, 15), 0))
    assert fires(tables, uid) == {}
    seed(tables, measure, labels, {bound + 1: 0})
    assert fires(tables, uid) == {subject: bound + 1}


@pytest.mark.parametrize(
    ("values", "restarts"),
    [
        ({599: 0, 15: 1}, 1),
        ({616: 0, 601: 1, 15: 1}, 0),
        ({601: 0, 15: 1}, 1),
        ({599: 3, 300: 0, 200: 1, 100: 2, 50: 3}, 3),
        ({0: 5}, 0),
        ({599: 4, 300: 4, 0: 4}, 0),
        ({599: 4, 300: 5, 0: 7}, 3),
        ({599: 4, 300: 4, 0: 0}, 0),
        ({599: 4, 300: 0, 0: 2}, 2),
    ],
)
def test_restarts_of_ten_minutes_count_and_a_new_submission_is_none(
    values: dict[int, float], restarts: int, tables: Tables
) -> None:
    seed(tables, Measure.JOB_RESTARTS, JOB, values, "java.io.IOException: disk")
    assert fires(tables, "baggage-job-restarts") == ({"BagLatest": restarts} if restarts else {})
    often = "once" if restarts == 1 else f"{restarts} times"
    sentence = f"BagLatest was restarted {often} within 10 minutes, last reason: java.io.IOException: disk"
    assert says(tables) == ([sentence] if restarts else [])


def test_a_restart_for_a_rollout_is_no_fault(tables: Tables) -> None:
    seed(tables, Measure.JOB_RESTARTS, JOB, {599: 0, 0: 1}, ROLLOUT)
    assert fires(tables, "baggage-job-restarts") == {}


def test_a_rollout_hides_no_failure_before_it(tables: Tables) -> None:
    seed(tables, Measure.JOB_RESTARTS, JOB, {599: 0, 300: 2}, "java.io.IOException: disk")
    seed(tables, Measure.JOB_RESTARTS, JOB, {0: 3}, ROLLOUT)
    assert fires(tables, "baggage-job-restarts") == {"BagLatest": 2}
    assert says(tables) == ["BagLatest was restarted 2 times within 10 minutes, last reason: java.io.IOException: disk"]


@pytest.mark.parametrize(("departures", "times"), [(3, 0), (4, 4)])
def test_task_managers_that_go_on_leaving_in_good_order_are_a_fault(
    departures: int, times: int, tables: Tables
) -> None:
    seed(tables, Measure.JOB_RESTARTS, JOB, {15 * ago: departures - ago for ago in range(departures + 1)}, ROLLOUT)
    assert fires(tables, "baggage-job-restarts") == ({"BagLatest": times} if times else {})


@pytest.mark.parametrize(("stops", "times"), [(3, 0), (4, 4)])
def test_a_job_that_is_submitted_again_and_again_is_said(stops: int, times: int, tables: Tables) -> None:
    seed(tables, Measure.JOB_RUNNING, JOB, {60 * n + up: up / 30 for n in range(stops) for up in (0, 30)})
    assert fires(tables, "baggage-job-restarts") == ({"BagLatest": times} if times else {})
    assert says(tables) == (["BagLatest was restarted 4 times within 10 minutes"] if times else [])


@pytest.mark.parametrize(("age", "late"), [(180, False), (181, True)])
def test_three_minutes_without_a_checkpoint(age: int, late: bool, tables: Tables) -> None:
    seed(tables, Measure.CHECKPOINT_AGE, JOB, {30: age - 30, 0: age})
    assert fires(tables, "baggage-no-checkpoint") == ({"BagLatest": age} if late else {})
    assert says(tables) == (["BagLatest has completed no checkpoint for 181 s"] if late else [])


@pytest.mark.parametrize(
    ("before", "now", "grows"),
    [(0, 1000, False), (0, 1001, True), (5000, 5000, False), (5000, 5001, True), (9000, 5000, False)],
)
def test_a_lag_whose_least_is_above_its_most_of_before(before: int, now: int, grows: bool, tables: Tables) -> None:
    saw_tooth = {481: 90_000, 480: before, 300: 0, 299: 90_000, 180: 0, 179: now + 30_000, 30: now, 0: now + 9}
    seed(tables, Measure.LAG, TOPIC, saw_tooth)
    assert fires(tables, "baggage-lag-grows") == ({"BagLatest baggage.events.v1": now + 9} if grows else {})


def test_a_lag_of_a_job_that_has_just_started_is_no_growth(tables: Tables) -> None:
    seed(tables, Measure.LAG, TOPIC, {290: 5000, 100: 60_000, 0: 90_000})
    assert fires(tables, "baggage-lag-grows") == {}


def test_the_lag_of_a_job_without_checkpoints_is_not_known(tables: Tables) -> None:
    seed(tables, Measure.LAG, TOPIC, {480: 0, 300: 0, 179: 5000, 0: 5000})
    seed(tables, Measure.CHECKPOINT_AGE, JOB, {0: 181})
    assert fires(tables, "baggage-no-checkpoint") == {"BagLatest": 181}
    assert says(tables) == ["BagLatest has completed no checkpoint for 181 s"]


@pytest.mark.parametrize(("used", "full"), [(0.8, False), (0.81, True)])
def test_a_disk_above_80_percent(used: float, full: bool, tables: Tables) -> None:
    seed(tables, Measure.DISK_USED, {"component": "Kafka", "disk": "broker 0"}, {0: used})
    assert fires(tables, "baggage-disk-full") == ({"Kafka broker 0": used} if full else {})
    assert says(tables) == (["the disk of Kafka broker 0 is 81 % full"] if full else [])


def test_while_nothing_is_measured_nothing_else_is_said(tables: Tables) -> None:
    seed(tables, Measure.JOB_RESTARTS, JOB, {300: 0, 61: 2}, "java.io.IOException: disk")
    seed(tables, Measure.JOB_RUNNING, JOB, {300: 1, 61: 0})
    assert [sentence[:28] for sentence in says(tables)] == ["nothing was measured since 2"]


@pytest.mark.parametrize(("ago", "silent"), [(60, False), (61, True), (3 * 24 * 3600, True)])
def test_a_minute_without_measurements(ago: int, silent: bool, tables: Tables) -> None:
    seed(tables, Measure.JOB_RUNNING, JOB, {ago: 0})
    assert fires(tables, "baggage-not-measured") == ({"monitor": ago} if silent else {})
    since = f"{NOW - ago * SECOND:%F %H:%M}"
    said = f"nothing was measured since {since}: the monitor does not run or could not write"
    assert says(tables) == ([said] if silent else [])


def test_before_the_first_measurement_nothing_is_wrong(tables: Tables) -> None:
    assert fires(tables, "baggage-not-measured") == {}


HOURS_26 = 26 * 3600


@pytest.mark.parametrize(
    ("samples", "age", "sentence"),
    [
        ({0: 1}, None, ""),
        ({HOURS_26: 1}, None, ""),
        ({HOURS_26 + 1: 1}, HOURS_26 + 1, "no backup of ClickHouse was made since {:%F %H:%M}"),
        ({HOURS_26: 1, 3600: 0}, HOURS_26, "the backup of ClickHouse failed at {:%F %H:%M}: no bucket"),
        ({3600: 0, 0: 1}, None, ""),
    ],
)
def test_a_backup_that_failed_or_is_overdue(
    samples: dict[int, float], age: int | None, sentence: str, tables: Tables
) -> None:
    seed(tables, Measure.JOB_RUNNING, JOB, {0: 1})
    seed(tables, Measure.BACKUP_SUCCEEDED, {"component": "ClickHouse"}, samples, "no bucket")
    assert fires(tables, "baggage-backup-failed") == ({"ClickHouse": age} if age else {})
    assert says(tables) == ([sentence.format(NOW - min(samples) * SECOND)] if age else [])


def test_an_hour_of_health_fires_nothing(tables: Tables) -> None:
    every = range(0, 3600, int(INTERVAL.total_seconds()))
    seed(tables, Measure.JOB_RUNNING, JOB, dict.fromkeys(every, 1))
    seed(tables, Measure.JOB_RESTARTS, JOB, dict.fromkeys(every, 0))
    seed(tables, Measure.CHECKPOINT_AGE, JOB, {ago: (3600 - ago) % 35 for ago in every})
    seed(tables, Measure.LAG, TOPIC, {ago: (3600 - ago) % 35 * 9000 for ago in every})
    seed(tables, Measure.ANSWERS, {"component": "Flink"}, dict.fromkeys(every, 1))
    for minute in range(60):
        for uid in HEALTH:
            assert not evaluate(tables, uid, NOW - minute * MINUTE)


def test_several_are_told_apart_by_their_labels(tables: Tables) -> None:
    for job in ("BagLatest", "ItineraryStatus"):
        seed(tables, Measure.JOB_RUNNING, {"flink_job": job}, {90: 1, 0: 0})
    found = evaluate(tables, "baggage-job-down")
    assert found == [Instance({"subject": job}, {"value": 90}) for job in ("BagLatest", "ItineraryStatus")]


def test_the_rules_of_health_go_to_the_platform() -> None:
    for uid in HEALTH:
        assert RULES[uid]["labels"]["team"] == "platform"
        assert RULES[uid]["noDataState"] == "OK"
        assert timedelta(seconds=RULES[uid]["data"][0]["relativeTimeRange"]["from"]) >= timedelta(seconds=60)
