"""`python -m baggage.jobs`: bring the three jobs to this version on the session cluster."""

from __future__ import annotations

import sys

from baggage import log
from baggage.jobs.rest import FlinkError
from baggage.jobs.submit import submit_all
from baggage.settings import read_settings


def main() -> None:
    """Submit; a failure is one line and exit code 1."""
    settings = read_settings()
    log.configure(settings.log_level)
    try:
        submit_all(settings)
    except FlinkError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
