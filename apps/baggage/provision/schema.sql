-- The database of the specification's section 7: five append-only tables, one more for dead letters, and views of the
-- current state. Every statement may be run again. {database} is the setting BAGGAGE_CLICKHOUSE__DATABASE.
-- Raise the version below with every change.
-- version: 2

CREATE DATABASE IF NOT EXISTS {database};

CREATE TABLE IF NOT EXISTS {database}.schema_version
(
    version UInt32,
    applied_at DateTime DEFAULT now('UTC')
)
ENGINE = MergeTree
ORDER BY version;

CREATE TABLE IF NOT EXISTS {database}.flight_kpis
(
    ts DateTime('UTC'),
    flight_id String,
    dep_time DateTime('UTC'),
    bag_cutoff_time DateTime('UTC'),
    expected_bags UInt32,
    checked_in UInt32,
    inducted UInt32,
    cleared UInt32,
    makeup UInt32,
    loaded UInt32,
    loaded_pct Float32,
    missing UInt32,
    freshness_sec UInt32
)
ENGINE = MergeTree
PARTITION BY toDate(ts)
ORDER BY (flight_id, ts)
TTL ts + INTERVAL 90 DAY;

CREATE TABLE IF NOT EXISTS {database}.bag_latest
(
    ts DateTime('UTC'),
    bag_id String,
    itinerary_id String,
    customer_id String,
    flight_id String,
    leg_index UInt8,
    stage String,
    last_scan_point String,
    last_event_time DateTime('UTC')
)
ENGINE = MergeTree
PARTITION BY toDate(ts)
ORDER BY (bag_id, ts)
TTL ts + INTERVAL 90 DAY;

CREATE TABLE IF NOT EXISTS {database}.alerts
(
    created_at DateTime('UTC'),
    alert_id String,
    flight_id String,
    severity String,
    rule_id String,
    payload_json String
)
ENGINE = MergeTree
PARTITION BY toDate(created_at)
ORDER BY (created_at, alert_id)
TTL created_at + INTERVAL 90 DAY;

CREATE TABLE IF NOT EXISTS {database}.itinerary_status
(
    ts DateTime('UTC'),
    itinerary_id String,
    customer_id String,
    bags_total UInt8,
    journey_state String,
    current_leg_index UInt8,
    risk_flag UInt8,
    details_json String
)
ENGINE = MergeTree
PARTITION BY toDate(ts)
ORDER BY (itinerary_id, ts)
TTL ts + INTERVAL 90 DAY;

CREATE TABLE IF NOT EXISTS {database}.notifications
(
    created_at DateTime('UTC'),
    notification_id String,
    itinerary_id String,
    customer_id String,
    journey_state String,
    payload_json String
)
ENGINE = MergeTree
PARTITION BY toDate(created_at)
ORDER BY (created_at, notification_id)
TTL created_at + INTERVAL 90 DAY;

CREATE TABLE IF NOT EXISTS {database}.dead_letters
(
    ts DateTime('UTC'),
    source_topic String,
    source_partition UInt32,
    source_offset UInt64,
    field String,
    reason String
)
ENGINE = MergeTree
PARTITION BY toDate(ts)
ORDER BY (ts, source_topic, source_partition, source_offset)
TTL ts + INTERVAL 90 DAY;

-- The counts of a flight only grow, so of several rows of one time the one that counts more is the later.
CREATE OR REPLACE VIEW {database}.flight_current AS
SELECT *
FROM {database}.flight_kpis
ORDER BY ts DESC, checked_in + inducted + cleared + makeup + loaded DESC
LIMIT 1 BY flight_id;

-- A bag only moves forward, so its furthest row is its latest, whatever was written again after a failure.
CREATE OR REPLACE VIEW {database}.bag_current AS
SELECT *
FROM {database}.bag_latest
ORDER BY
    leg_index DESC,
    indexOf(['EXPECTED', 'CHECKED_IN', 'INDUCTED', 'CLEARED', 'MAKEUP', 'LOADED', 'OFFLOADED', 'CAROUSEL'], stage) DESC,
    last_event_time DESC,
    last_scan_point DESC,
    ts DESC
LIMIT 1 BY bag_id;

CREATE OR REPLACE VIEW {database}.itinerary_current AS
SELECT *
FROM {database}.itinerary_status
ORDER BY ts DESC
LIMIT 1 BY itinerary_id;

-- One row an alert and a notification: what was written again after a failure has the same id.
CREATE OR REPLACE VIEW {database}.alert_current AS
SELECT *
FROM {database}.alerts
ORDER BY created_at
LIMIT 1 BY alert_id;

CREATE OR REPLACE VIEW {database}.notification_current AS
SELECT *
FROM {database}.notifications
ORDER BY created_at
LIMIT 1 BY notification_id;

CREATE OR REPLACE VIEW {database}.dead_letter_current AS
SELECT *
FROM {database}.dead_letters
ORDER BY ts
LIMIT 1 BY source_topic, source_partition, source_offset;

-- The same at a time of the past, from the rows later than `since` up to `at`: what dashboards show for the end of their
-- time range. A bound on both sides lets ClickHouse read only the days in between.
CREATE OR REPLACE VIEW {database}.flight_at AS
SELECT *
FROM {database}.flight_kpis
WHERE ts > {since:DateTime} AND ts <= {at:DateTime}
ORDER BY ts DESC, checked_in + inducted + cleared + makeup + loaded DESC
LIMIT 1 BY flight_id;

CREATE OR REPLACE VIEW {database}.bag_at AS
SELECT *
FROM {database}.bag_latest
WHERE ts > {since:DateTime} AND ts <= {at:DateTime}
ORDER BY
    leg_index DESC,
    indexOf(['EXPECTED', 'CHECKED_IN', 'INDUCTED', 'CLEARED', 'MAKEUP', 'LOADED', 'OFFLOADED', 'CAROUSEL'], stage) DESC,
    last_event_time DESC,
    last_scan_point DESC,
    ts DESC
LIMIT 1 BY bag_id;

CREATE OR REPLACE VIEW {database}.itinerary_at AS
SELECT *
FROM {database}.itinerary_status
WHERE ts > {since:DateTime} AND ts <= {at:DateTime}
ORDER BY ts DESC
LIMIT 1 BY itinerary_id;
