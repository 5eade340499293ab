"""Asks all components at once; what does not answer is a sample, too."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from clickhouse_connect.driver.exceptions import ClickHouseError
from confluent_kafka import KafkaException
from kafka.errors import KafkaError

from baggage.jobs.rest import FlinkError, FlinkRest
from baggage.monitor import clickhouse, flink, kafka
from baggage.monitor.samples import TIMEOUT, Component, Measure, Sample
from baggage.monitor.session import Session
from baggage.settings import Settings

_REFUSALS = (FlinkError, KafkaException, KafkaError, ClickHouseError, OSError, TimeoutError)


def measure(settings: Settings, session: Session) -> list[Sample]:
    """All samples of this moment; within about the interval, whatever does not answer."""
    with ThreadPoolExecutor(len(Component)) as pool:
        asked = [
            pool.submit(_ask, Component.FLINK, lambda: flink.samples(FlinkRest(settings.flink.rest_url, TIMEOUT))),
            pool.submit(_ask, Component.KAFKA, lambda: kafka.samples(settings.kafka)),
            pool.submit(_ask, Component.CLICKHOUSE, lambda: _of_clickhouse(settings, session)),
        ]
        return [sample for answer in asked for sample in answer.result()]


def _ask(component: Component, ask: Callable[[], Iterable[Sample]]) -> list[Sample]:
    labels = {"component": component.value}
    try:
        return [Sample(Measure.ANSWERS, 1, labels), *ask()]
    except _REFUSALS as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:300]
        silent = [Sample(Measure.ANSWERS, 0, labels, reason)]
        return silent + list(flink.unknown(reason)) if component is Component.FLINK else silent


def _of_clickhouse(settings: Settings, session: Session) -> list[Sample]:
    with session.client() as client:
        return list(clickhouse.samples(client, settings.clickhouse.database, settings.clock.clock()))
