"""`python -m baggage.provision [topics|schema]`: create the topics, apply the schema, or both."""

from __future__ import annotations

import argparse

import structlog

from baggage import log
from baggage.provision.kafka import create_topics
from baggage.provision.schema import apply_schema
from baggage.settings import Settings


def main() -> None:
    """Provision what the arguments name."""
    parser = argparse.ArgumentParser(prog="python -m baggage.provision", description=__doc__)
    parser.add_argument("what", nargs="?", choices=("topics", "schema", "all"), default="all")
    what = parser.parse_args().what
    settings = Settings()
    log.configure(settings.log_level)
    logger = structlog.get_logger()
    if what in ("topics", "all"):
        logger.info("topics are there", created=create_topics(settings.kafka))
    if what in ("schema", "all"):
        logger.info("schema is applied", version=apply_schema(settings.clickhouse))


if __name__ == "__main__":
    main()
