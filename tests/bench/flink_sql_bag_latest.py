"""`python -m tests.bench.flink_sql_bag_latest`: submit BagLatest written in Flink SQL, which runs in the JVM alone.

The floor of what Flink costs: the same dedupe and join, each part of the state as the maximum of a text that sorts as
the part does. It checks no field of an event, so it does a little less than the others.
"""

from __future__ import annotations

from uuid import uuid4

from pyflink.table import StreamTableEnvironment

from baggage.domain.schedule import RETENTION
from baggage.domain.stages import STAGE_OF_EVENT, EventType, Stage
from baggage.jobs import names
from baggage.jobs.submit import job_configuration, start
from baggage.provision.topics import BAG_LATEST, EVENTS
from baggage.settings import Settings

_FIELDS = (
    *("event_id", "bag_id", "itinerary_id", "customer_id", "flight_id", "event_type", "event_time", "scan_point_id"),
)
_TIME = len("2026-01-01T00:00:00Z")


def build(tables: StreamTableEnvironment, settings: Settings) -> None:
    """Add the job to the environment of `tables`."""
    kafka = f"'properties.bootstrap.servers' = '{settings.kafka.bootstrap_servers}'"
    tables.execute_sql(f"""
        CREATE TEMPORARY TABLE events (
            {", ".join(f"{field} STRING" for field in _FIELDS)}, leg_index INT, arrived AS PROCTIME()
        ) WITH (
            'connector' = 'kafka', 'topic' = '{EVENTS.name}', {kafka}, 'scan.startup.mode' = 'earliest-offset',
            'properties.max.partition.fetch.bytes' = '8388608',
            'value.format' = 'json', 'value.json.ignore-parse-errors' = 'true'
        )""")
    tables.execute_sql(f"""
        CREATE TEMPORARY TABLE bags (
            bag_id STRING, ts STRING, itinerary_id STRING, customer_id STRING, flight_id STRING, leg_index INT,
            stage STRING, last_scan_point STRING, last_event_time STRING, alarm BOOLEAN,
            PRIMARY KEY (bag_id) NOT ENFORCED
        ) WITH (
            'connector' = 'upsert-kafka', 'topic' = '{BAG_LATEST.name}', {kafka},
            'properties.acks' = 'all', 'properties.compression.type' = 'lz4', 'properties.linger.ms' = '20',
            'key.format' = 'raw', 'value.format' = 'json'
        )""")
    stages = " ".join(f"WHEN '{event}' THEN '{int(stage)}'" for event, stage in STAGE_OF_EVENT.items())
    stage_names = " ".join(f"WHEN '{int(stage)}' THEN '{stage.name}'" for stage in Stage)
    statements = tables.create_statement_set()
    statements.add_insert_sql(f"""
        INSERT INTO bags SELECT
            bag_id, DATE_FORMAT(CURRENT_TIMESTAMP, 'yyyy-MM-dd''T''HH:mm:ss''Z'''),
            SPLIT_INDEX(owner, '|', 0), SPLIT_INDEX(owner, '|', 1),
            SUBSTRING(furthest, 5), CAST(SUBSTRING(furthest, 1, 3) AS INT),
            CASE SUBSTRING(furthest, 4, 1) {stage_names} END,
            SUBSTRING(last_seen, {_TIME + 1}), SUBSTRING(last_seen, 1, {_TIME}), alarm = 1
        FROM (
            SELECT
                bag_id,
                MAX(LPAD(CAST(leg_index AS STRING), 3, '0') || CASE event_type {stages} ELSE '0' END || flight_id)
                    AS furthest,
                MAX(event_time || scan_point_id) AS last_seen,
                MAX(itinerary_id || '|' || customer_id) AS owner,
                MAX(CASE event_type WHEN '{EventType.SCREENED_ALARM}' THEN 1 ELSE 0 END) AS alarm
            FROM (
                SELECT *, ROW_NUMBER() OVER (PARTITION BY bag_id, event_id ORDER BY arrived) AS occurrence FROM events
            )
            WHERE occurrence = 1
            GROUP BY bag_id
        )""")
    statements.attach_as_datastream()


def main() -> None:
    """Submit the job with the configuration of BagLatest."""
    settings = Settings()
    options = job_configuration(names.BAG_LATEST, uuid4().hex, None, "bench", settings)
    options["table.exec.state.ttl"] = f"{int(RETENTION.total_seconds() * 1000)} ms"
    start(build, options, settings)


if __name__ == "__main__":
    main()
