"""`python -m baggage.jobs.handover`: what a new TaskManager waits for before it starts.

While a job of another version of the code still lives, a TaskManager of this version would take it over and run it
with code that it was not made for. So the new one waits until the submit program has stopped that job with a savepoint.
"""

from __future__ import annotations

import time

import structlog

from baggage import log
from baggage.jobs.release import code_of, code_version
from baggage.jobs.rest import FlinkError, FlinkRest
from baggage.settings import read_settings

#: A cluster without TaskManagers is worse than one that runs a job for a moment with newer code.
_PATIENCE = 600
_BETWEEN_LOOKS = 1

logger = structlog.get_logger()


def wait_for_handover(rest: FlinkRest, code: str) -> bool:
    """Wait until no job of another code version lives; whether that came true in time."""
    deadline, said = time.monotonic() + _PATIENCE, ""
    while time.monotonic() < deadline:
        try:
            others = sorted(job.name for job in rest.live_jobs() if code_of(job.version) != code)
            reason = f"of another version: {', '.join(others)}" if others else ""
        except FlinkError as error:
            reason = str(error)
        if not reason:
            return True
        if reason != said:
            logger.info("waiting", reason=reason, code=code)
            said = reason
        time.sleep(_BETWEEN_LOOKS)
    return False


def main() -> None:
    """Wait, and go on in any case."""
    settings = read_settings()
    log.configure(settings.log_level)
    if not wait_for_handover(FlinkRest(settings.flink.rest_url), code_version()):
        logger.warning("going on although jobs of another version live", seconds=_PATIENCE)


if __name__ == "__main__":
    main()
