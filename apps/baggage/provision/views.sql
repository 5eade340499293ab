-- The views of the current state, and of a state of the past: made anew each time that the schema is applied.

-- Of several rows of one time the one that counts more is taken: bags are taken off far less often than put on.
CREATE OR REPLACE VIEW {database}.flight_current AS
SELECT *
FROM {database}.flight_kpis
ORDER BY ts DESC, checked_in + inducted + cleared + makeup + loaded DESC
LIMIT 1 BY flight_id;

-- Leg and time of a bag's newest scan only grow, whatever was written again after a failure; its stage may go back,
-- when it is taken off.
CREATE OR REPLACE VIEW {database}.bag_current AS
SELECT *
FROM {database}.bag_latest
ORDER BY
    leg_index DESC,
    last_event_time DESC,
    ts DESC,
    indexOf(['EXPECTED', 'CHECKED_IN', 'INDUCTED', 'CLEARED', 'MAKEUP', 'LOADED', 'OFFLOADED', 'CAROUSEL'], stage) DESC,
    last_scan_point DESC
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

CREATE OR REPLACE VIEW {database}.unscheduled_flight_current AS
SELECT *
FROM
(
    SELECT *
    FROM {database}.unscheduled_flights
    ORDER BY ts DESC, events = 0 DESC, events DESC
    LIMIT 1 BY flight_id
)
WHERE events > 0;

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
    last_event_time DESC,
    ts DESC,
    indexOf(['EXPECTED', 'CHECKED_IN', 'INDUCTED', 'CLEARED', 'MAKEUP', 'LOADED', 'OFFLOADED', 'CAROUSEL'], stage) DESC,
    last_scan_point DESC
LIMIT 1 BY bag_id;

CREATE OR REPLACE VIEW {database}.itinerary_at AS
SELECT *
FROM {database}.itinerary_status
WHERE ts > {since:DateTime} AND ts <= {at:DateTime}
ORDER BY ts DESC
LIMIT 1 BY itinerary_id;

-- What is wrong with the pipeline at a time, from what the monitor measured up to then: one row for each ill thing, with
-- the number that tells how ill. Alert rules, the board and `make status` all take theirs from here. An hour covers
-- whatever a monitor that was away for a while has missed.
CREATE OR REPLACE VIEW {database}.pipeline_findings AS
WITH
    {at:DateTime} AS at,
    measured AS
    (
        SELECT
            measure,
            labels,
            argMax(value, ts) AS newest,
            argMax(note, ts) AS why,
            max(ts) AS last,
            greatest(maxIf(ts, value > 0), min(ts)) AS since,
            max(value) > 0 AS was_up,
            argMinIf(value, ts, ts > at - INTERVAL 10 MINUTE) AS ten_minutes_ago,
            minIf(value, ts > at - INTERVAL 3 MINUTE) AS least_now,
            countIf(ts BETWEEN at - INTERVAL 8 MINUTE AND at - INTERVAL 5 MINUTE) AS measured_before,
            maxIf(value, ts BETWEEN at - INTERVAL 8 MINUTE AND at - INTERVAL 5 MINUTE) AS most_before
        FROM {database}.pipeline_health
        WHERE ts > at - INTERVAL 1 HOUR AND ts <= at
        GROUP BY measure, labels
        HAVING last > at - INTERVAL 1 MINUTE
    )
SELECT
    'SILENT' AS finding,
    labels['component'] AS subject,
    toFloat64(dateDiff('second', since, at)) AS value,
    format('{} does not answer since {}: {}', subject, formatDateTime(since, '%H:%i'), why) AS says
FROM measured
WHERE measure = 'answers' AND newest = 0 AND value > 60
UNION ALL
SELECT
    'JOB_DOWN',
    labels['flink_job'] AS subject,
    toFloat64(dateDiff('second', since, at)) AS value,
    format('{} is not running since {}: {}', subject, formatDateTime(since, '%H:%i'), why)
FROM measured
-- The first start of all waits for the other jobs' submissions, one JVM each.
WHERE measure = 'job_running' AND newest = 0 AND value > if(was_up, 60, 180)
UNION ALL
SELECT
    'JOB_RESTARTS',
    labels['flink_job'] AS subject,
    -- A job that was submitted anew counts from 0 again.
    if(newest >= ten_minutes_ago, newest - ten_minutes_ago, newest) AS value,
    format('{} was restarted {} within 10 minutes, last reason: {}', subject, if(value = 1, 'once', format('{} times', toString(value))), why)
FROM measured
-- A TaskManager that leaves in good order, as in a rollout, is no fault.
WHERE measure = 'job_restarts' AND value > 0 AND NOT startsWith(why, 'org.apache.flink.util.FlinkExpectedException')
UNION ALL
SELECT
    'NO_CHECKPOINT',
    labels['flink_job'] AS subject,
    newest AS value,
    format('{} has completed no checkpoint for {} s', subject, toString(round(value)))
FROM measured
WHERE measure = 'checkpoint_age_seconds' AND value > 180
UNION ALL
SELECT
    'LAG_GROWS',
    format('{} {}', labels['flink_job'], labels['topic']) AS subject,
    newest AS value,
    format('{} falls behind on {}: {} records to read, and more each minute', labels['flink_job'], labels['topic'], toString(value))
FROM measured
-- A lag is as of a checkpoint, so it swings between two of them: it grows where its least is above its most of before. Three
-- minutes are longer than an upgrade. Of a job without checkpoints it is not known.
WHERE
    measure = 'lag_records' AND least_now > 1000 AND measured_before > 0 AND least_now > most_before
    AND labels['flink_job'] NOT IN
    (
        SELECT labels['flink_job'] FROM measured WHERE measure = 'checkpoint_age_seconds' AND newest > 180
    )
UNION ALL
SELECT
    'DISK_FULL',
    format('{} {}', labels['component'], labels['disk']) AS subject,
    newest AS value,
    format('the disk of {} is {} % full', subject, toString(round(100 * value)))
FROM measured
WHERE measure = 'disk_used_ratio' AND value > 0.8
UNION ALL
SELECT
    'NOT_MEASURED',
    'monitor' AS subject,
    toFloat64(dateDiff('second', last, at)) AS value,
    format('nothing was measured since {}: the monitor does not run or could not write', formatDateTime(last, '%F %H:%i'))
FROM (SELECT max(ts) AS last FROM {database}.pipeline_health WHERE ts <= at HAVING count() > 0)
WHERE value > 60;
