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
WHERE ts > {since:DateTime('UTC')} AND ts <= {at:DateTime('UTC')}
ORDER BY ts DESC, checked_in + inducted + cleared + makeup + loaded DESC
LIMIT 1 BY flight_id;

CREATE OR REPLACE VIEW {database}.bag_at AS
SELECT *
FROM {database}.bag_latest
WHERE ts > {since:DateTime('UTC')} AND ts <= {at:DateTime('UTC')}
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
WHERE ts > {since:DateTime('UTC')} AND ts <= {at:DateTime('UTC')}
ORDER BY ts DESC
LIMIT 1 BY itinerary_id;

-- What is wrong with the pipeline at a time, from what the monitor measured up to then: one row for each ill thing, with
-- the number that tells how ill. Alert rules, the board and `make status` all take theirs from here. An hour covers
-- whatever a monitor that was away for a while has missed.
CREATE OR REPLACE VIEW {database}.pipeline_findings AS
WITH
    {at:DateTime('UTC')} AS at,
    samples AS
    (
        SELECT
            *,
            lagInFrame(ts, 1, at - INTERVAL 1 HOUR) OVER series AS ts_before,
            lagInFrame(value, 1, value) OVER series AS value_before,
            ts > at - INTERVAL 10 MINUTE AS is_recent
        FROM {database}.pipeline_health
        WHERE ts > at - INTERVAL 1 HOUR AND ts <= at
        WINDOW series AS (PARTITION BY measure, toString(labels) ORDER BY ts ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
    ),
    measured AS
    (
        SELECT
            measure,
            labels,
            argMax(value, ts) AS newest,
            argMax(note, ts) AS why,
            max(ts) AS last,
            -- Since when it is measured without a gap: what was in a gap is not known.
            maxIf(ts, ts - ts_before > 120) AS resumed,
            minIf(value, ts > at - INTERVAL 3 MINUTE) AS least_now,
            countIf(ts BETWEEN at - INTERVAL 8 MINUTE AND at - INTERVAL 5 MINUTE) AS measured_before,
            maxIf(value, ts BETWEEN at - INTERVAL 8 MINUTE AND at - INTERVAL 5 MINUTE) AS most_before
        FROM samples
        GROUP BY measure, labels
        HAVING last > at - INTERVAL 1 MINUTE
    ),
    last_up AS
    (
        SELECT measure, toString(labels) AS what, maxIf(ts, value > 0) AS up, min(ts) AS first
        FROM {database}.pipeline_health
        WHERE measure IN ('answers', 'job_running') AND ts <= at
        GROUP BY measure, what
    ),
    down AS
    (
        SELECT
            measure,
            labels['component'] AS component,
            labels['flink_job'] AS job,
            why,
            greatest(up, resumed, first) AS since,
            up >= greatest(resumed, first) AS was_up,
            toFloat64(dateDiff('second', since, at)) AS seconds,
            if(toDate(since) = toDate(at), formatDateTime(since, '%H:%i'), formatDateTime(since, '%F %H:%i')) AS since_text
        FROM measured
        INNER JOIN last_up ON last_up.measure = measured.measure AND last_up.what = toString(measured.labels)
        WHERE newest = 0
    ),
    restarts AS
    (
        SELECT
            labels['flink_job'] AS job,
            -- A job that was submitted anew counts from 0 again.
            measure = 'job_restarts' AS is_counted,
            multiIf(NOT is_counted, value_before > 0 AND value = 0, value < value_before, value, value - value_before) AS more,
            startsWith(note, 'org.apache.flink.util.FlinkExpectedException') AS is_in_good_order,
            ts,
            note
        FROM samples
        WHERE is_recent AND measure IN ('job_restarts', 'job_running')
    )
SELECT
    'SILENT' AS finding,
    component AS subject,
    seconds AS value,
    format('{} does not answer since {}: {}', component, since_text, why) AS says
FROM down
WHERE measure = 'answers' AND value > 60
UNION ALL
SELECT
    'JOB_DOWN',
    job AS subject,
    seconds AS value,
    format('{} is not running since {}: {}', job, since_text, why)
FROM down
-- The first start of all waits for the other jobs' submissions, one JVM each.
WHERE measure = 'job_running' AND value > if(was_up, 60, 180)
UNION ALL
SELECT
    'JOB_RESTARTS',
    job AS subject,
    times AS value,
    format(
        '{} was restarted {} within 10 minutes{}',
        job,
        if(times = 1, 'once', format('{} times', toString(times))),
        if(reason = '', '', format(', last reason: {}', reason))
    )
FROM
(
    SELECT
        job,
        sumIf(more, is_counted AND NOT is_in_good_order) AS failures,
        -- A TaskManager that leaves in good order, as in a rollout, is no fault; nor is one new submission.
        sumIf(more, is_counted AND is_in_good_order) AS departures,
        sumIf(more, NOT is_counted) AS stops,
        greatest(failures + if(departures > 3, departures, 0), if(stops > 3, stops, 0)) AS times,
        argMaxIf(note, ts, more > 0 AND is_counted AND NOT is_in_good_order) AS failure,
        if(failures > 0 OR departures <= 3, failure, argMaxIf(note, ts, more > 0 AND is_counted)) AS reason
    FROM restarts
    GROUP BY job
    HAVING max(ts) > at - INTERVAL 1 MINUTE
)
WHERE times > 0
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
WHERE value > 60
UNION ALL
SELECT
    'BACKUP_FAILED',
    'ClickHouse' AS subject,
    toFloat64(dateDiff('second', made, at)) AS value,
    if(
        succeeded = 0,
        format('the backup of ClickHouse failed at {}: {}', formatDateTime(last, '%F %H:%i'), why),
        format('no backup of ClickHouse was made since {}', formatDateTime(made, '%F %H:%i'))
    )
FROM
(
    SELECT
        argMax(pipeline_health.value, ts) AS succeeded,
        argMax(note, ts) AS why,
        max(ts) AS last,
        maxIf(ts, pipeline_health.value > 0) AS made
    FROM {database}.pipeline_health
    WHERE measure = 'backup_succeeded' AND ts <= at
    HAVING count() > 0
)
-- One is made each night.
WHERE succeeded = 0 OR made < at - INTERVAL 26 HOUR;
