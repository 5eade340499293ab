"""`python -m baggage.provision [topics|schema|feeds]`: topics and schema; user and certificates of the feeds."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import TypeVar

import structlog
from clickhouse_connect.driver.exceptions import ClickHouseError
from confluent_kafka import KafkaException

from baggage import log
from baggage.provision.kafka import create_feeds_user, create_topics, reload_certificates
from baggage.provision.schema import SchemaError, apply_schema
from baggage.settings import read_settings

_PATIENCE = 120
_BETWEEN_TRIES = 2

T = TypeVar("T")

logger = structlog.get_logger()


def main() -> None:
    """Provision what the arguments name."""
    parser = argparse.ArgumentParser(prog="python -m baggage.provision", description=__doc__)
    parser.add_argument("what", nargs="?", choices=("topics", "schema", "all", "feeds"), default="all")
    what = parser.parse_args().what
    settings = read_settings()
    log.configure(settings.log_level)
    kafka = f"Kafka at {settings.kafka.bootstrap_servers}"
    clickhouse = f"ClickHouse at {settings.clickhouse.host}:{settings.clickhouse.port}"
    try:
        if what in ("topics", "all"):
            created = _patiently(lambda: create_topics(settings.kafka), KafkaException, kafka)
            logger.info("topics are there", created=created)
        if what in ("schema", "all"):
            migrations = _patiently(lambda: apply_schema(settings.clickhouse), ClickHouseError, clickhouse)
            logger.info("schema is applied", migrations=migrations)
        if what == "feeds":
            _patiently(lambda: create_feeds_user(settings.kafka), KafkaException, kafka)
            logger.info("the user of the feeds is there")
            certificates = _patiently(lambda: reload_certificates(settings.kafka), KafkaException, kafka)
            logger.info("the certificates are served as they are now", files=certificates)
    except (SchemaError, ValueError) as error:
        sys.exit(f"error: {error}")


def _patiently(act: Callable[[], T], refusal: type[Exception], server: str) -> T:
    """Act again and again while the server refuses, as it may start after this process; after a while give up."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return act()
        except refusal as error:
            reason = str(error).splitlines()[0]
            if time.monotonic() > deadline:
                sys.exit(f"error: {server} refuses: {reason}")
            logger.info(f"waiting for {server}", reason=reason)
            time.sleep(_BETWEEN_TRIES)


if __name__ == "__main__":
    main()
