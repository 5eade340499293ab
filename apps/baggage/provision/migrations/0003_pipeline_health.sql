-- What the monitor measures, and of what; see apps/baggage/monitor/samples.py. Times are real ones, not the pipeline's.
CREATE TABLE IF NOT EXISTS {database}.pipeline_health
(
    ts DateTime('UTC'),
    measure LowCardinality(String),
    labels Map(String, String),
    value Float64,
    note String
)
ENGINE = MergeTree
PARTITION BY toDate(ts)
ORDER BY (measure, ts)
TTL ts + INTERVAL 30 DAY;
