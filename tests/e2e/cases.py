"""Irregular records, as people who run such systems have met them, and what each must come to.

All are about flights, bags and itineraries of their own, so that they can be mixed into a generated day.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from confluent_kafka import Producer

from baggage.provision.topics import ASSIGNMENT, BAG_LATEST, EVENTS, NOTIFICATIONS, SCHEDULE, Topic
from baggage.settings import KafkaSettings

MINUTE = timedelta(minutes=1)


@dataclass
class Expected:
    """What the tables must hold in the end: columns by key; `rejected` names topic and field of each dead letter."""

    bags: dict[str, dict[str, object]] = field(default_factory=dict)
    itineraries: dict[str, str] = field(default_factory=dict)
    flights: dict[str, dict[str, object]] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)
    unscheduled: list[str] = field(default_factory=list)
    rejected: list[tuple[str, str]] = field(default_factory=list)


class Cases:
    """Produces the cases around `now`, the pipeline's time."""

    def __init__(self, kafka: KafkaSettings, now: datetime) -> None:
        self.expected = Expected()
        self._now = now
        self._producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "linger.ms": 5})

    def publish(self) -> None:
        """Produce everything; return when the broker has it."""
        for case in (
            self._ids_of_one_process,
            self._impossible_values,
            self._offsets,
            self._left_behind,
            self._taken_off,
            self._cancelled,
            self._rebooked,
            self._moved_to_another_itinerary,
            self._diverted,
            self._unknown_flight,
            self._clock_ahead,
            self._garbage,
        ):
            case()
        self._producer.flush()

    def _flight(self, number: str, route: str = "LHR->AMS") -> str:
        return f"{number}|{self._now:%Y-%m-%d}|{route}"

    def _send(self, topic: Topic, key: str | bytes | None, value: dict[str, Any] | bytes | None) -> None:
        payload = json.dumps(value).encode() if isinstance(value, dict) else value
        self._producer.produce(topic.name, payload, key)

    def _schedule(self, flight_id: str, departs_in: timedelta, expected: int = 1, **changed: Any) -> None:
        departure = self._now + departs_in
        record: dict[str, Any] = {
            "flight_id": flight_id,
            "airport_origin": flight_id[-8:-5],
            "airport_dest": flight_id[-3:],
            "dep_time": departure.isoformat(),
            "arr_time": (departure + 70 * MINUTE).isoformat(),
            "bag_cutoff_time": (departure - 40 * MINUTE).isoformat(),
            "expected_bags": expected,
        }
        self._send(SCHEDULE, flight_id, record | changed)

    def _assign(self, bag: str, itinerary: str, *flights: str, bags: int = 1) -> None:
        legs = [
            {"leg_index": index, "flight_id": flight, "origin": flight[-8:-5], "dest": flight[-3:]}
            for index, flight in enumerate(flights)
        ]
        record = {"bag_id": bag, "itinerary_id": itinerary, "customer_id": "CUST", "bags_in_itinerary": bags}
        self._send(ASSIGNMENT, bag, record | {"legs": legs})

    def _scan(self, bag: str, kind: str, flight: str, at: timedelta, leg: int = 0, **changed: Any) -> None:
        time = (self._now + at).isoformat()
        record: dict[str, Any] = {
            "event_id": str(uuid.uuid1()),
            "bag_id": bag,
            "itinerary_id": f"ITI-{bag}",
            "customer_id": "CUST",
            "flight_id": flight,
            "leg_index": leg,
            "airport": flight[-8:-5],
            "event_type": kind,
            "event_time": time,
            "ingest_time": time,
            "scan_point_id": f"{kind}_1",
            "reader_type": "RFID",
            "confidence": 0.99,
            "attributes": {},
        }
        self._send(EVENTS, bag, record | changed)

    def _ids_of_one_process(self) -> None:
        flight = self._flight("QA101")
        for minute, kind in enumerate(
            ("CheckedIn", "Inducted", "ScreenedCleared", "MakeupArrived", "LoadedOnAircraft")
        ):
            self._scan("CASE-1", kind, flight, (minute - 30) * MINUTE)
        self._schedule(flight, 300 * MINUTE)
        self.expected.bags["CASE-1"] = {"stage": "LOADED"}
        self.expected.flights[flight] = {"loaded": 1, "missing": 0}

    def _impossible_values(self) -> None:
        flight, scan = self._flight("QA102"), ("CheckedIn", self._flight("QA102"), -20 * MINUTE)
        impossible: dict[str, Any]
        for name, value in (("arr_time", "9999-12-31T23:59:59Z"), ("bag_cutoff_time", "0001-01-01T00:00:00Z")):
            impossible = {name: value}
            self._schedule(flight, 300 * MINUTE, **impossible)
            self.expected.rejected.append((SCHEDULE.name, name))
        for name, value in (
            ("event_time", "0001-01-01T00:00:00+01:00"),
            ("event_time", "9999-12-31T23:59:59.999999-12:00"),
            ("ingest_time", "1999-12-31T23:59:59Z"),
            ("airport", "LHR\n"),
            ("flight_id", f"{flight}\n"),
            ("scan_point_id", "nul\u0000"),
            ("customer_id", "line\nend"),
            ("leg_index", "0"),
        ):
            impossible = {name: value}
            self._scan("CASE-2", *scan, **impossible)
            self.expected.rejected.append((EVENTS.name, name))
        nested: object = 0
        for _ in range(900):
            nested = [nested]
        self._scan("CASE-2", *scan, raw=nested)
        self.expected.rejected.append((EVENTS.name, "raw"))
        self._scan("CASE-2", *scan)
        self.expected.bags["CASE-2"] = {"stage": "CHECKED_IN"}
        self.expected.unscheduled.append(flight)

    def _offsets(self) -> None:
        flight = self._flight("AA100", "JFK->LHR")
        departure = self._now + 290 * MINUTE
        local = (departure - timedelta(hours=5)).strftime("%Y-%m-%dT%H:%M:%S-05:00")
        self._schedule(flight, 290 * MINUTE, dep_time=local)
        scanned = self._now - 60 * MINUTE
        ahead = (scanned + timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%S+02:00")
        self._scan("CASE-5", "CheckedIn", flight, -60 * MINUTE, event_time=ahead)
        self.expected.bags["CASE-5"] = {"last_event_time": scanned.replace(microsecond=0)}
        self.expected.flights[flight] = {"dep_time": departure.replace(microsecond=0), "checked_in": 1}

    def _left_behind(self) -> None:
        flight = self._flight("QA106")
        self._schedule(flight, -30 * MINUTE)
        self._assign("CASE-6", "ITI-CASE-6", flight)
        for minute, kind in enumerate(("CheckedIn", "Inducted", "ScreenedCleared", "MakeupArrived")):
            self._scan("CASE-6", kind, flight, (minute - 120) * MINUTE)
        self.expected.itineraries["ITI-CASE-6"] = "DELAYED_OR_REROUTED"

    def _taken_off(self) -> None:
        flight = self._flight("QA107")
        self._schedule(flight, 300 * MINUTE, expected=2)
        for bag in ("CASE-7A", "CASE-7B"):
            self._assign(bag, f"ITI-{bag}", flight)
            self._scan(bag, "LoadedOnAircraft", flight, -20 * MINUTE)
        self._scan("CASE-7B", "Offloaded", flight, -10 * MINUTE)
        self.expected.bags |= {"CASE-7A": {"stage": "LOADED"}, "CASE-7B": {"stage": "MAKEUP"}}
        self.expected.itineraries |= {"ITI-CASE-7A": "ON_FLIGHT", "ITI-CASE-7B": "IN_ORIGIN_PROCESSING"}
        self.expected.flights[flight] = {"loaded": 1, "missing": 1}

    def _cancelled(self) -> None:
        inbound, onward, by_status = self._flight("QA108"), self._flight("QA109", "AMS->FRA"), self._flight("QA110")
        self._schedule(inbound, 300 * MINUTE)
        self._schedule(onward, 300 * MINUTE)
        self._schedule(by_status, 300 * MINUTE)
        self._assign("CASE-9", "ITI-CASE-9", inbound, onward)
        self._scan("CASE-9", "LoadedOnAircraft", inbound, -20 * MINUTE)
        self._assign("CASE-9S", "ITI-CASE-9S", by_status)
        self._scan("CASE-9S", "CheckedIn", by_status, -20 * MINUTE)
        self._send(SCHEDULE, onward, None)
        self._schedule(by_status, 300 * MINUTE, status="CANCELLED")
        self.expected.cancelled += [onward, by_status]
        self.expected.itineraries |= {"ITI-CASE-9": "DELAYED_OR_REROUTED", "ITI-CASE-9S": "DELAYED_OR_REROUTED"}

    def _rebooked(self) -> None:
        first, second = self._flight("QA111"), self._flight("QA112")
        self._schedule(first, 300 * MINUTE)
        self._schedule(second, 330 * MINUTE)
        self._assign("CASE-10", "ITI-CASE-10", first)
        self._scan("CASE-10", "Inducted", first, -20 * MINUTE)
        self._send(ASSIGNMENT, "CASE-10", None)
        self._assign("CASE-10", "ITI-CASE-10", second)
        self.expected.bags["CASE-10"] = {"stage": "INDUCTED"}
        self.expected.itineraries["ITI-CASE-10"] = "IN_ORIGIN_PROCESSING"

    def _moved_to_another_itinerary(self) -> None:
        flight = self._flight("QA113")
        self._schedule(flight, 300 * MINUTE, expected=2)
        for bag in ("CASE-20A", "CASE-20B"):
            self._assign(bag, "ITI-CASE-20", flight, bags=2)
        self._scan("CASE-20A", "LoadedOnAircraft", flight, -20 * MINUTE)
        self._assign("CASE-20B", "ITI-CASE-21", flight)
        self._assign("CASE-20A", "ITI-CASE-20", flight)
        self.expected.itineraries |= {"ITI-CASE-20": "ON_FLIGHT", "ITI-CASE-21": "CHECKED_IN"}

    def _diverted(self) -> None:
        flight = self._flight("TP5", "LIS->NAT")
        self._schedule(flight, -180 * MINUTE)
        self._assign("CASE-12", "ITI-CASE-12", flight)
        self._scan("CASE-12", "LoadedOnAircraft", flight, -200 * MINUTE)
        self._scan("CASE-12", "Offloaded", flight, -20 * MINUTE, airport="FNC", scan_point_id="FNC_1")
        self.expected.bags["CASE-12"] = {"stage": "OFFLOADED", "last_scan_point": "FNC_1"}
        self.expected.itineraries["ITI-CASE-12"] = "DELAYED_OR_REROUTED"

    def _unknown_flight(self) -> None:
        right, wrong = self._flight("QA025"), self._flight("QA25")
        self._schedule(right, 300 * MINUTE)
        self._assign("CASE-13", "ITI-CASE-13", right)
        self._scan("CASE-13", "LoadedOnAircraft", wrong, -20 * MINUTE)
        self.expected.bags["CASE-13"] = {"stage": "LOADED", "flight_id": wrong}
        self.expected.itineraries["ITI-CASE-13"] = "DELAYED_OR_REROUTED"
        self.expected.unscheduled.append(wrong)

    def _clock_ahead(self) -> None:
        flight = self._flight("QA114")
        self._schedule(flight, 300 * MINUTE)
        self._scan("CASE-14", "CheckedIn", flight, timedelta(days=1), scan_point_id="AHEAD")
        self.expected.bags["CASE-14"] = {"stage": "CHECKED_IN"}

    def _garbage(self) -> None:
        for topic in (SCHEDULE, ASSIGNMENT, BAG_LATEST, NOTIFICATIONS, EVENTS):
            self._send(topic, b"broken", b"[1, 2")
            self.expected.rejected.append((topic.name, ""))
        self._send(EVENTS, b"\xff", b"{}")
        self._send(SCHEDULE, b"\xff", None)
        self.expected.rejected += [(EVENTS.name, "event_id"), (SCHEDULE.name, "")]

    def publish_later(self, now: datetime) -> None:
        """What comes some minutes after the rest: a true scan after that of the clock that runs ahead."""
        self._scan("CASE-14", "Inducted", self._flight("QA114"), now - self._now, scan_point_id="TRUE")
        self._producer.flush()
        self.expected.bags["CASE-14"] = {"stage": "INDUCTED", "last_scan_point": "TRUE"}


def differences(expected: Expected, query: Any) -> Iterator[str]:
    """What the tables hold that is not as expected."""
    for table, key, rows in (
        ("bag_current", "bag_id", expected.bags),
        ("flight_current", "flight_id", expected.flights),
    ):
        for value, columns in rows.items():
            found = query(f"SELECT {', '.join(columns)} FROM {{database}}.{table} WHERE {key} = '{value}'")
            if found != [tuple(columns.values())]:
                yield f"{table} {value}: expected {columns}, found {found}"
    for itinerary, state in expected.itineraries.items():
        found = query(f"SELECT journey_state FROM {{database}}.itinerary_current WHERE itinerary_id = '{itinerary}'")
        if found != [(state,)]:
            yield f"{itinerary}: expected {state}, found {found}"
    shown = {row[0] for row in query("SELECT flight_id FROM {database}.unscheduled_flight_current")}
    for flight in expected.unscheduled:
        if flight not in shown:
            yield f"{flight} is not shown as unscheduled"
    letters = query("SELECT source_topic, field FROM {database}.dead_letter_current")
    for rejected in set(expected.rejected):
        if letters.count(rejected) < expected.rejected.count(rejected):
            yield f"dead letters: {rejected} {expected.rejected.count(rejected)} times expected, in {letters}"
