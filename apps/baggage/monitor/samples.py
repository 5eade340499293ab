"""What is measured: samples in Prometheus's sense, which one table and one endpoint carry alike."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

#: How often everything is measured.
INTERVAL = timedelta(seconds=15)
#: Seconds; so long a component is waited for.
TIMEOUT = INTERVAL.total_seconds() / 3


class Component(StrEnum):
    """A server that is asked; the label `component`."""

    FLINK = "Flink"
    KAFKA = "Kafka"
    CLICKHOUSE = "ClickHouse"


class Measure(StrEnum):
    """The name of a measurement, with its unit."""

    ANSWERS = "answers"
    JOB_RUNNING = "job_running"
    JOB_RESTARTS = "job_restarts"
    CHECKPOINT_AGE = "checkpoint_age_seconds"
    CHECKPOINT_DURATION = "checkpoint_duration_seconds"
    CHECKPOINT_SIZE = "checkpoint_bytes"
    LAG = "lag_records"
    TOPIC_SIZE = "topic_bytes"
    DISK_USED = "disk_used_ratio"
    NEWEST_ROW_AGE = "newest_row_age_seconds"
    TABLE_PARTS = "table_parts"
    TABLE_SIZE = "table_bytes"
    BACKUP_SUCCEEDED = "backup_succeeded"


#: What Prometheus says of each.
HELP = {
    Measure.ANSWERS: "1 if the component answered within the interval, else 0",
    Measure.JOB_RUNNING: "1 if every task of the job runs, else 0",
    Measure.JOB_RESTARTS: "Restarts of the job since it was submitted",
    Measure.CHECKPOINT_AGE: "Seconds since the newest checkpoint of the job was completed, or since its start",
    Measure.CHECKPOINT_DURATION: "How long the newest checkpoint took",
    Measure.CHECKPOINT_SIZE: "Bytes of the state in the newest checkpoint",
    Measure.LAG: "Records of the topic that the job has not read, as of its newest checkpoint",
    Measure.TOPIC_SIZE: "Bytes of the topic on the disks of the brokers, replicas included",
    Measure.DISK_USED: "Share of a disk that is used",
    Measure.NEWEST_ROW_AGE: "Seconds since the time of the newest row of the table",
    Measure.TABLE_PARTS: "Active parts of the table",
    Measure.TABLE_SIZE: "Bytes of the table on disk",
    Measure.BACKUP_SUCCEEDED: "1 if the backup was made, else 0",
}


@dataclass(frozen=True)
class Sample:
    """One value of a measure; labels say of what, the note what no number can."""

    measure: Measure
    value: float
    labels: dict[str, str]
    note: str = ""
