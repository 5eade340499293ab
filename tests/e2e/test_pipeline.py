"""The acceptance criteria of specification section 12 that are not about Grafana, at any hour and through failures."""

from __future__ import annotations

import base64
import datetime as dt
import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
from confluent_kafka import Producer

from baggage.domain.dead_letters import parse_dead_letter
from baggage.domain.events import BaggageEvent, parse_event
from baggage.domain.schedule import RETENTION
from baggage.jobs.names import JOB_NAMES
from baggage.jobs.submit import stop_all
from baggage.provision.topics import ASSIGNMENT, BAG_LATEST, DEAD_LETTER, EVENTS, SCHEDULE, Topic
from baggage.settings import GeneratorSettings, RulesSettings
from baggage.verify.topics import TopicReader
from baggage.verify.verification import Report, verify
from tests.e2e.cases import Cases, differences
from tests.e2e.conftest import Pipeline, SettingsAt, running, wait_until

WATCHED = dt.timedelta(minutes=40)
OUTAGE = dt.timedelta(hours=2)


def flink(pipeline: Pipeline, path: str) -> dict[str, Any]:
    with urllib.request.urlopen(pipeline.settings.flink.rest_url + path, timeout=10) as response:
        answer: dict[str, Any] = json.load(response)
        return answer


def jobs(pipeline: Pipeline) -> dict[str, str]:
    return {job["name"]: job["jid"] for job in flink(pipeline, "/jobs/overview")["jobs"] if job["state"] == "RUNNING"}


def assert_verified(pipeline: Pipeline, *, ticks: bool = True) -> Report:
    """Let the records on their way arrive, and compare every table with the oracle; `ticks`: no long outage."""
    pipeline.generator.stop()
    report = verify(pipeline.settings)
    assert report.differences == []
    if ticks:
        assert report.missed_ticks == 0, "a KPI row every 10 s for every active flight"
    assert report.events > 10_000
    assert all(report.compared[table] > 0 for table in ("bag_current", "flight_current", "itinerary_current", "alerts"))
    return report


def assert_acceptance(pipeline: Pipeline) -> None:
    """Section 12: tables populate, alerts for injected failures, transfer states, notifications only on change."""
    for severity in ("WARN", "CRITICAL"):
        assert pipeline.wait_for_rows(f"SELECT count() FROM {{database}}.alerts WHERE severity = '{severity}'")
    for state in ("AT_RISK_FOR_CONNECTION", "DELAYED_OR_REROUTED", "IN_TRANSFER_PROCESSING", "LOADED_ON_NEXT_FLIGHT"):
        assert pipeline.wait_for_rows(
            f"SELECT count() FROM {{database}}.itinerary_status WHERE journey_state = '{state}'"
        )
    unchanged = pipeline.query(
        "SELECT count() FROM {database}.notifications "
        "WHERE JSONExtractString(payload_json, 'previous_state') = journey_state"
    )
    assert unchanged == [(0,)], "a notification is a change"
    assert pipeline.wait_for_rows("SELECT count() FROM {database}.notifications")


def assert_jobs_checkpoint_to_rocksdb(pipeline: Pipeline) -> None:
    running = jobs(pipeline)
    assert running.keys() == set(JOB_NAMES)
    for job_id in running.values():
        assert flink(pipeline, f"/jobs/{job_id}/checkpoints")["counts"]["completed"] > 0
        config = flink(pipeline, f"/jobs/{job_id}/checkpoints/config")
        assert "rocksdb" in config["state_backend"].lower()


def restarts(pipeline: Pipeline) -> dict[str, int]:
    """How often each job was restarted."""
    return {
        name: int(flink(pipeline, f"/jobs/{job_id}/metrics?get=numRestarts")[0]["value"])  # type: ignore[index]
        for name, job_id in jobs(pipeline).items()
    }


def test_at_noon_irregular_records_and_a_killed_task_manager_lose_nothing(settings_at: SettingsAt) -> None:
    with running(settings_at("12:00")) as pipeline:
        start = pipeline.now()
        cases = Cases(pipeline.settings.kafka, start)
        cases.publish()
        pipeline.wait_until_clock(start + WATCHED / 2)
        assert_jobs_checkpoint_to_rocksdb(pipeline)
        assert set(restarts(pipeline).values()) == {0}, "no record restarts a job"
        cases.publish_later(pipeline.now())
        task_manager = pipeline.runtime.flink.task_managers[0]
        killed = task_manager.pid
        os.killpg(killed, signal.SIGKILL)
        pipeline.wait_until_clock(start + WATCHED)
        assert_acceptance(pipeline)
        assert_verified(pipeline)
        wait_until(lambda: not list(differences(cases.expected, pipeline.query)), what="what the cases must come to")
        assert task_manager.pid != killed
        assert jobs(pipeline).keys() == set(JOB_NAMES)


def test_over_midnight_the_next_day_takes_over(settings_at: SettingsAt) -> None:
    # The servers take twenty minutes of this clock to start, on a slow machine forty: all is up before 23:50.
    with running(settings_at("23:10", speed=30)) as pipeline:
        started = pipeline.settings.clock.anchor
        assert started
        today, tomorrow = started.date(), started.date() + dt.timedelta(days=1)
        midnight = dt.datetime.combine(tomorrow, dt.time(), dt.UTC)
        assert pipeline.wait_for_rows(rows_since(midnight - dt.timedelta(minutes=10), "<"))
        pipeline.wait_until_clock(midnight + dt.timedelta(minutes=30))
        assert_acceptance(pipeline)
        assert_verified(pipeline)
        assert pipeline.findings_so_far() == {}
        for date in (today, tomorrow):
            checked_in = f"SELECT count() FROM {{database}}.flight_current WHERE flight_id LIKE '%|{date}|LHR%'"
            assert pipeline.wait_for_rows(f"{checked_in} AND checked_in > 0")
        assert pipeline.wait_for_rows(rows_since(midnight + dt.timedelta(minutes=25), ">="))


def rows_since(when: dt.datetime, comparison: str) -> str:
    return f"SELECT count() FROM {{database}}.flight_kpis WHERE ts {comparison} toDateTime('{when:%F %T}', 'UTC')"


def bad_events(good: BaggageEvent) -> dict[str, tuple[bytes | None, bytes | None]]:
    """A record of each kind that must be refused, by a part of the reason."""
    key, value = good.key().encode(), good.to_json()

    def changed(**fields: object) -> bytes:
        return json.dumps({**json.loads(value), **fields}).encode()

    return {
        "not valid JSON: JSON is malformed": (key, b"{'bag_id': 1}"),
        "not valid JSON: Input data was truncated": (key, value[: len(value) // 2]),
        "codec can't decode": (
            key,
            value.replace(b"RFID", b"\xff\xfe").replace(b"LASER", b"\xff").replace(b"HAND", b"\xff"),
        ),
        "Expected `int`, got `str`": (key, changed(leg_index="0")),
        "Invalid enum value 'Teleported'": (key, changed(event_type="Teleported")),
        "bytes, at most": (key, changed(attributes={"padding": "x" * 900_000})),
        "missing required field": (key, b"{}"),
        "expected": (b"somebody else", value),
        "no key": (None, value),
        "no value": (key, None),
    }


def test_at_night_on_three_task_managers_bad_records_are_dead_letters_and_change_nothing_else(
    settings_at: SettingsAt,
) -> None:
    settings = settings_at("03:00")
    settings.flink.parallelism = settings.local.task_managers = 3
    settings.rules = RulesSettings(cleared_ends_exception=True)
    with running(settings) as pipeline:
        start = pipeline.now()
        pipeline.wait_for_rows("SELECT count() FROM {database}.bag_latest")
        events = TopicReader(EVENTS, pipeline.settings.kafka)
        events.read()
        good = parse_event(events.records[0].key, events.records[0].value)
        events.close()
        bad = bad_events(good)
        producer = Producer({"bootstrap.servers": pipeline.settings.kafka.bootstrap_servers})
        for key, value in bad.values():
            producer.produce(EVENTS.name, value, key)
        for topic in (SCHEDULE, ASSIGNMENT, BAG_LATEST):
            producer.produce(topic.name, b"[1, 2", b"broken")
        producer.flush()
        pipeline.wait_until_clock(start + WATCHED)
        wanted = len(bad) + 3
        pipeline.wait_for_rows(f"SELECT count() >= {wanted} FROM {{database}}.dead_letter_current")

        letters = TopicReader(DEAD_LETTER, pipeline.settings.kafka)
        letters.read()
        letters.close()
        found = {(letter := parse_dead_letter(r.key, r.value)).key(): letter for r in letters.records}.values()
        of_events = [letter for letter in found if letter.source_topic == EVENTS.name]
        assert len(found) == wanted
        for reason, (key, value) in bad.items():
            whole = [
                letter
                for letter in of_events
                if letter.value_base64 == (None if value is None else base64.b64encode(value).decode())
                and letter.key_base64 == (None if key is None else base64.b64encode(key).decode())
            ]
            assert len(whole) == 1, f"the whole record is in one dead letter: {reason}"
            assert reason in whole[0].reason
        assert_acceptance(pipeline)
        assert_verified(pipeline)
        assert pipeline.findings_so_far() == {}


def test_a_second_run_goes_on_where_the_first_was_stopped_with_ctrl_c(settings_at: SettingsAt) -> None:
    settings = settings_at("06:00")
    command = [sys.executable, "-m", "baggage.local", "run", "--speed", str(settings.clock.speed)]
    environment = {**os.environ, **settings.environment()}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
        assert run.stdout
        printed = []
        for line in run.stdout:
            printed.append(line)
            if "freshness=" in line:
                break
        started = psutil.Process(run.pid).children(recursive=True)
        run.send_signal(signal.SIGINT)
        printed += run.stdout.readlines()
    assert run.returncode == 0, printed
    assert len(started) > 4, "Kafka, ClickHouse, Flink and our own programs"
    _, left = psutil.wait_procs(started, timeout=5)
    assert left == [], "nothing is left"
    assert any("first KPI row after" in line for line in printed)

    with running(settings) as pipeline:
        again = pipeline.settings.clock.anchor
        assert again is not None
        assert settings.clock.anchor is not None
        assert again > settings.clock.anchor, "the clock goes on, not back to its configured start"
        for job_id in jobs(pipeline).values():
            restored = flink(pipeline, f"/jobs/{job_id}/checkpoints")["latest"]["restored"]
            assert restored["is_savepoint"]
            savepoint = Path(urlsplit(restored["external_path"]).path)
            assert {path.name for path in savepoint.parent.iterdir()} <= {job_id, savepoint.name}, "older ones are gone"
        assert pipeline.wait_for_rows(rows_since(again + WATCHED / 2, ">="))
        # An outage of the jobs: what they find after it is a backlog, and nothing is concluded from that.
        pipeline.keeper.stop()
        stop_all(pipeline.settings)
        pipeline.wait_until_clock(pipeline.now() + OUTAGE)
        environment = pipeline.runtime.environment()
        subprocess.run([sys.executable, "-m", "baggage.jobs"], env=environment, check=True, capture_output=True)
        back = pipeline.now()
        assert pipeline.wait_for_rows(rows_since(back + WATCHED, ">="))
        assert_verified(pipeline, ticks=False)


def test_what_has_expired_is_not_kept(settings_at: SettingsAt) -> None:
    """Nobody publishes after the evening; 48 hours after the last arrival the operators hold next to nothing."""
    settings = settings_at("00:00", speed=1200)
    assert settings.clock.anchor is not None
    midnight = settings.clock.anchor - dt.timedelta(days=5)
    settings.clock.anchor = midnight
    settings.generator = GeneratorSettings(flights=24, passengers_min=20, passengers_mean=30, passengers_std=5)
    with running(settings) as pipeline:
        pipeline.wait_until_clock(midnight + dt.timedelta(hours=18))
        pipeline.generator.stop()
        # An itinerary that has expired emits nothing any more, whatever is heard of it.
        pipeline.wait_for_rows("SELECT count() > 500 FROM {database}.bag_current")
        last = max(
            dt.datetime.fromisoformat(json.loads(value)["arr_time"]) for value in live_values(pipeline, SCHEDULE)
        )
        pipeline.wait_until_clock(last + RETENTION + dt.timedelta(hours=12))
        report = verify(pipeline.settings, patience=60)
        assert report.differences == []
        assert report.compared["bag_current"] > 500
        assert report.compared["itinerary_current"] == 0, "the oracle expires them as well"


def live_values(pipeline: Pipeline, topic: Topic) -> list[bytes]:
    """What a compacted topic holds: the last value of each key that is no tombstone."""
    reader = TopicReader(topic, pipeline.settings.kafka)
    reader.read()
    reader.close()
    last = {record.key: record.value for record in reader.records}
    return [value for value in last.values() if value is not None]
