-- The five append-only tables of the specification's section 7, and three more for what these cannot say. A database
-- from before there were numbered migrations has them already, so nothing here minds that.

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

-- Flights that bags name and no schedule: how a wrong flight number is found. 0 events: it has a schedule now.
CREATE TABLE IF NOT EXISTS {database}.unscheduled_flights
(
    ts DateTime('UTC'),
    flight_id String,
    bags UInt32,
    events UInt32
)
ENGINE = MergeTree
PARTITION BY toDate(ts)
ORDER BY (flight_id, ts)
TTL ts + INTERVAL 90 DAY;

-- Alerts that were not raised because the job was still reading what was there when it started.
CREATE TABLE IF NOT EXISTS {database}.withheld_alerts
(
    created_at DateTime('UTC'),
    alert_id String,
    flight_id String,
    severity String,
    rule_id String
)
ENGINE = MergeTree
PARTITION BY toDate(created_at)
ORDER BY (created_at, alert_id)
TTL created_at + INTERVAL 90 DAY;

-- How a record in JSON becomes a row: the jobs insert the column `record` alone, which is not stored.

ALTER TABLE {database}.flight_kpis
    ADD COLUMN IF NOT EXISTS record String EPHEMERAL,
    MODIFY COLUMN ts DateTime('UTC') DEFAULT parseDateTimeBestEffortOrZero(JSONExtractString(record, 'ts'), 'UTC'),
    MODIFY COLUMN flight_id String DEFAULT JSONExtractString(record, 'flight_id'),
    MODIFY COLUMN dep_time DateTime('UTC') DEFAULT parseDateTimeBestEffortOrZero(JSONExtractString(record, 'dep_time'), 'UTC'),
    MODIFY COLUMN bag_cutoff_time DateTime('UTC') DEFAULT parseDateTimeBestEffortOrZero(JSONExtractString(record, 'bag_cutoff_time'), 'UTC'),
    MODIFY COLUMN expected_bags UInt32 DEFAULT JSONExtractUInt(record, 'expected_bags'),
    MODIFY COLUMN checked_in UInt32 DEFAULT JSONExtractUInt(record, 'checked_in'),
    MODIFY COLUMN inducted UInt32 DEFAULT JSONExtractUInt(record, 'inducted'),
    MODIFY COLUMN cleared UInt32 DEFAULT JSONExtractUInt(record, 'cleared'),
    MODIFY COLUMN makeup UInt32 DEFAULT JSONExtractUInt(record, 'makeup'),
    MODIFY COLUMN loaded UInt32 DEFAULT JSONExtractUInt(record, 'loaded'),
    MODIFY COLUMN loaded_pct Float32 DEFAULT JSONExtractFloat(record, 'loaded_pct'),
    MODIFY COLUMN missing UInt32 DEFAULT JSONExtractUInt(record, 'missing'),
    MODIFY COLUMN freshness_sec UInt32 DEFAULT JSONExtractUInt(record, 'freshness_sec');

ALTER TABLE {database}.bag_latest
    ADD COLUMN IF NOT EXISTS record String EPHEMERAL,
    MODIFY COLUMN ts DateTime('UTC') DEFAULT parseDateTimeBestEffortOrZero(JSONExtractString(record, 'ts'), 'UTC'),
    MODIFY COLUMN bag_id String DEFAULT JSONExtractString(record, 'bag_id'),
    MODIFY COLUMN itinerary_id String DEFAULT JSONExtractString(record, 'itinerary_id'),
    MODIFY COLUMN customer_id String DEFAULT JSONExtractString(record, 'customer_id'),
    MODIFY COLUMN flight_id String DEFAULT JSONExtractString(record, 'flight_id'),
    MODIFY COLUMN leg_index UInt8 DEFAULT JSONExtractUInt(record, 'leg_index'),
    MODIFY COLUMN stage String DEFAULT JSONExtractString(record, 'stage'),
    MODIFY COLUMN last_scan_point String DEFAULT JSONExtractString(record, 'last_scan_point'),
    MODIFY COLUMN last_event_time DateTime('UTC') DEFAULT parseDateTimeBestEffortOrZero(JSONExtractString(record, 'last_event_time'), 'UTC');

ALTER TABLE {database}.alerts
    ADD COLUMN IF NOT EXISTS record String EPHEMERAL,
    MODIFY COLUMN created_at DateTime('UTC') DEFAULT parseDateTimeBestEffortOrZero(JSONExtractString(record, 'now'), 'UTC'),
    MODIFY COLUMN alert_id String DEFAULT JSONExtractString(record, 'alert_id'),
    MODIFY COLUMN flight_id String DEFAULT JSONExtractString(record, 'flight_id'),
    MODIFY COLUMN severity String DEFAULT JSONExtractString(record, 'severity'),
    MODIFY COLUMN rule_id String DEFAULT JSONExtractString(record, 'rule_id'),
    MODIFY COLUMN payload_json String DEFAULT record;

ALTER TABLE {database}.itinerary_status
    ADD COLUMN IF NOT EXISTS record String EPHEMERAL,
    MODIFY COLUMN ts DateTime('UTC') DEFAULT parseDateTimeBestEffortOrZero(JSONExtractString(record, 'ts'), 'UTC'),
    MODIFY COLUMN itinerary_id String DEFAULT JSONExtractString(record, 'itinerary_id'),
    MODIFY COLUMN customer_id String DEFAULT JSONExtractString(record, 'customer_id'),
    MODIFY COLUMN bags_total UInt8 DEFAULT JSONExtractUInt(record, 'bags_total'),
    MODIFY COLUMN journey_state String DEFAULT JSONExtractString(record, 'journey_state'),
    MODIFY COLUMN current_leg_index UInt8 DEFAULT JSONExtractUInt(record, 'current_leg_index'),
    MODIFY COLUMN risk_flag UInt8 DEFAULT JSONExtractBool(record, 'risk_flag'),
    MODIFY COLUMN details_json String DEFAULT JSONExtractString(record, 'details_json');

ALTER TABLE {database}.notifications
    ADD COLUMN IF NOT EXISTS record String EPHEMERAL,
    MODIFY COLUMN created_at DateTime('UTC') DEFAULT parseDateTimeBestEffortOrZero(JSONExtractString(record, 'created_at'), 'UTC'),
    MODIFY COLUMN notification_id String DEFAULT JSONExtractString(record, 'notification_id'),
    MODIFY COLUMN itinerary_id String DEFAULT JSONExtractString(record, 'itinerary_id'),
    MODIFY COLUMN customer_id String DEFAULT JSONExtractString(record, 'customer_id'),
    MODIFY COLUMN journey_state String DEFAULT JSONExtractString(record, 'journey_state'),
    MODIFY COLUMN payload_json String DEFAULT record;

ALTER TABLE {database}.dead_letters
    ADD COLUMN IF NOT EXISTS record String EPHEMERAL,
    MODIFY COLUMN ts DateTime('UTC') DEFAULT parseDateTimeBestEffortOrZero(JSONExtractString(record, 'ts'), 'UTC'),
    MODIFY COLUMN source_topic String DEFAULT JSONExtractString(record, 'source_topic'),
    MODIFY COLUMN source_partition UInt32 DEFAULT JSONExtractUInt(record, 'source_partition'),
    MODIFY COLUMN source_offset UInt64 DEFAULT JSONExtractUInt(record, 'source_offset'),
    MODIFY COLUMN field String DEFAULT JSONExtractString(record, 'field'),
    MODIFY COLUMN reason String DEFAULT JSONExtractString(record, 'reason');

ALTER TABLE {database}.unscheduled_flights
    ADD COLUMN IF NOT EXISTS record String EPHEMERAL,
    MODIFY COLUMN ts DateTime('UTC') DEFAULT parseDateTimeBestEffortOrZero(JSONExtractString(record, 'ts'), 'UTC'),
    MODIFY COLUMN flight_id String DEFAULT JSONExtractString(record, 'flight_id'),
    MODIFY COLUMN bags UInt32 DEFAULT JSONExtractUInt(record, 'bags'),
    MODIFY COLUMN events UInt32 DEFAULT JSONExtractUInt(record, 'events');

ALTER TABLE {database}.withheld_alerts
    ADD COLUMN IF NOT EXISTS record String EPHEMERAL,
    MODIFY COLUMN created_at DateTime('UTC') DEFAULT parseDateTimeBestEffortOrZero(JSONExtractString(record, 'now'), 'UTC'),
    MODIFY COLUMN alert_id String DEFAULT JSONExtractString(record, 'alert_id'),
    MODIFY COLUMN flight_id String DEFAULT JSONExtractString(record, 'flight_id'),
    MODIFY COLUMN severity String DEFAULT JSONExtractString(record, 'severity'),
    MODIFY COLUMN rule_id String DEFAULT JSONExtractString(record, 'rule_id');
