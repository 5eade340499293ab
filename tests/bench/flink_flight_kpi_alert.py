"""`python -m tests.bench.flink_flight_kpi_alert`: submit FlightKpiAlert alone."""

from __future__ import annotations

from uuid import uuid4

from baggage.jobs import flight_kpi_alert
from baggage.jobs.submit import job_configuration, start
from baggage.settings import Settings


def main() -> None:
    """Submit the job with the configuration that it always has."""
    settings = Settings()
    options = job_configuration(flight_kpi_alert.NAME, uuid4().hex, None, "bench", settings)
    start(flight_kpi_alert.build, options, settings)


if __name__ == "__main__":
    main()
