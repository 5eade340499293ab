"""`python -m tests.bench.flink_bag_latest`: submit BagLatest without its tables, from Kafka to Kafka."""

from __future__ import annotations

from uuid import uuid4

from baggage.jobs import bag_latest
from baggage.jobs.submit import job_configuration, start
from baggage.settings import Settings


def main() -> None:
    """Submit the job with the configuration that it always has."""
    settings = Settings()
    start(bag_latest.build_topic, job_configuration(bag_latest.NAME, uuid4().hex, None, "bench", settings), settings)


if __name__ == "__main__":
    main()
