// Every query, once: dashboards, variables and alert rules take theirs from here.
//
// "Now" is the end of the time range ($__toTime), so that every dashboard can be taken back to any time of the last days.
local facts = std.extVar('facts');

local now = '$__toTime';
local quoted(values) = std.join(', ', ["'%s'" % value for value in values]);
local stageRank(column) = 'indexOf([%s], %s)' % [quoted(facts.stages), column];
local rankOf(stage) = std.find(stage, facts.stages)[0] + 1;
local loadedRank = rankOf(facts.loaded);
local origin(flight) = "substring(splitByChar('|', %s)[3], 1, 3)" % flight;
local destination(flight) = "substring(splitByChar('|', %s)[3], 6, 3)" % flight;
// Whether a flight leaves from one of the airports that are selected.
local ofAirport(flight) = '$__conditionalAll(%s IN (${airport:singlequote}), $airport)' % origin(flight);

// So long a flight, or the whole pipeline, may write nothing: rows come every ten seconds.
local silence = 'INTERVAL 2 MINUTE';
// The order of a flight's rows that flight_current has, as one number: a tuple takes six times as long.
local kpiOrder = 'bitShiftLeft(toUInt64(ts), 32) + checked_in + inducted + cleared + makeup + loaded';
local newestKpi(column) = 'argMax(%s, %s)' % [column, kpiOrder];
// A flight is active until it departs. A cancelled one has no more rows, while others have: it is not active.
local isActive(departure, written, newest) = '%s > %s AND %s > %s - %s' % [departure, now, written, newest, silence];

// Bags are checked in up to 4 hours before departure and connect for up to 3: what is on its way has spoken since then.
local flights = '(SELECT *, %s AS is_active FROM flight_at(since = %s - INTERVAL %d HOUR, at = %s))' % [
  isActive('dep_time', 'ts', 'max(ts) OVER ()'),
  now,
  facts.activeHours,
  now,
];
local bags = 'bag_at(since = %s - INTERVAL 36 HOUR, at = %s)' % [now, now];
// Those that have bags: a bag can leave an itinerary, and so can the last one.
local itineraries = '(SELECT * FROM itinerary_at(since = %s - INTERVAL 36 HOUR, at = %s) WHERE bags_total > 0)' % [now, now];

local bagsInDetails =
  "JSONExtract(details_json, 'Map(String, Tuple(journey_state String, leg_index UInt8, flight_id String, connection String))')";

// The bags of itineraries, one row each, with the fields that itinerary_status.details_json has of them.
local bagsOf(source) = |||
  SELECT
      itinerary_id,
      ts,
      bag.1 AS bag_id,
      bag.2.journey_state AS bag_state,
      bag.2.leg_index AS leg_index,
      bag.2.flight_id AS flight_id,
      bag.2.connection AS connection
  FROM (%s)
  ARRAY JOIN %s AS bag
||| % [source, bagsInDetails];

local troubled(state) = '%s IN (%s)' % [state, quoted(facts.troubled)];

// Departures within the time range that the airports of the variable have, with what was loaded when. A flight that has
// departed has a row of then or later, with its late scans; a cancelled one has none.
local departures = |||
  SELECT
      flight_id,
      %(departure)s AS departure,
      %(expected)s AS expected,
      argMaxIf(loaded, %(order)s, ts <= bag_cutoff_time) AS loaded_at_cutoff,
      %(loaded)s AS loaded_at_departure
  FROM flight_kpis
  WHERE ts > $__fromTime - INTERVAL %(hours)d HOUR AND ts <= $__toTime AND dep_time > $__fromTime
    AND %(airport)s
  GROUP BY flight_id
  HAVING departure <= $__toTime AND max(ts) >= departure
||| % {
  departure: newestKpi('dep_time'),
  expected: newestKpi('expected_bags'),
  loaded: newestKpi('loaded'),
  order: kpiOrder,
  hours: facts.activeHours,
  airport: ofAirport('flight_id'),
};

// The bags of those departures, each with the cause for which it was mishandled, or ''.
local outcomes = |||
  SELECT bag_id, departure, flight_id, bag_state,
      multiIf(
          bag_state = 'EXCEPTION', 'screening exception',
          of_bags.leg_index = 0 AND %(rank)s < %(loaded)d, 'not loaded',
          bag_state = 'DELAYED_OR_REROUTED', if(connection = '', 'rerouted', 'missed connection'),
          ''
      ) AS cause
  FROM (%(bags)s) AS of_bags
  INNER JOIN (%(departures)s) AS departures ON departures.flight_id = of_bags.flight_id
  LEFT JOIN (SELECT bag_id AS seen_bag, stage FROM %(latest)s) AS latest ON latest.seen_bag = of_bags.bag_id
||| % {
  rank: stageRank('stage'),
  loaded: loadedRank,
  bags: bagsOf('SELECT * FROM ' + itineraries),
  departures: departures,
  latest: bags,
};

{
  // -- variables: the first column is the value, the second the label

  flightOptions: |||
    SELECT flight_id, concat(flight_id, '  ', formatDateTime(dep_time, '%%H:%%i')) AS label
    FROM %s
    ORDER BY NOT is_active, missing = 0, abs(dateDiff('second', $__toTime, bag_cutoff_time))
  ||| % flights,

  airportOptions: |||
    SELECT DISTINCT %s AS airport FROM %s ORDER BY airport
  ||| % [origin('flight_id'), flights],

  itineraryOptions: |||
    SELECT itinerary_id FROM %s
    ORDER BY indexOf([%s], journey_state) = 0, ts DESC
    LIMIT 500
  ||| % [itineraries, quoted(facts.troubled)],

  bagOptions: |||
    SELECT bag_id FROM (%s)
    ORDER BY indexOf([%s], bag_state) = 0, ts DESC
    LIMIT 500
  ||| % [bagsOf('SELECT * FROM %s ORDER BY indexOf([%s], journey_state) = 0, ts DESC LIMIT 500' % [itineraries, quoted(facts.troubled)]), quoted(facts.troubled)],

  // -- flights

  // What there is to know at a glance, in one row.
  totals: |||
    WITH open AS (
        SELECT bag_cutoff_time, missing FROM %(flights)s WHERE is_active AND %(airport)s
    ),
    (SELECT groupArray(journey_state) FROM %(itineraries)s) AS states
    SELECT
        (SELECT countIf(bag_cutoff_time > $__toTime) FROM open) AS flights_open,
        (SELECT sumIf(missing, bag_cutoff_time <= $__toTime + INTERVAL %(soon)d MINUTE) FROM open) AS bags_missing,
        countEqual(states, 'AT_RISK_FOR_CONNECTION') AS at_risk,
        countEqual(states, 'DELAYED_OR_REROUTED') AS delayed,
        (
            SELECT uniqExact(flight_id, rule_id) FROM alerts
            WHERE created_at > $__toTime - %(silence)s AND created_at <= $__toTime
        ) AS alerts_now,
        (
            SELECT maxOrNull(freshness_sec) FROM flight_kpis
            WHERE ts > $__toTime - %(silence)s AND ts <= $__toTime
        ) AS freshness
  ||| % {
    flights: flights,
    itineraries: itineraries,
    airport: ofAirport('flight_id'),
    soon: facts.lowLoadMinutes,
    silence: silence,
  },

  flightsByUrgency: |||
    SELECT
        flight_id,
        dep_time,
        floor(dateDiff('second', $__toTime, bag_cutoff_time) / 60) AS minutes_to_cutoff,
        expected_bags,
        checked_in,
        makeup,
        loaded,
        loaded_pct,
        missing
    FROM %s
    WHERE is_active AND dep_time <= $__toTime + INTERVAL ${hours} HOUR AND %s
    ORDER BY missing DESC, loaded_pct
  ||| % [flights, ofAirport('flight_id')],

  loadedOverTime: |||
    SELECT $__timeInterval(ts) AS time, flight_id, %s AS loaded
    FROM flight_kpis
    WHERE flight_id IN (${flight:singlequote}) AND $__timeFilter(ts)
    GROUP BY time, flight_id
    ORDER BY time
  ||| % newestKpi('loaded_pct'),

  cutoffs: |||
    SELECT %s AS time, concat('Cutoff ', flight_id) AS text
    FROM flight_kpis
    WHERE flight_id IN (${flight:singlequote}) AND $__timeFilter(ts)
    GROUP BY flight_id
  ||| % newestKpi('bag_cutoff_time'),

  // All flights of the table.
  funnel: |||
    SELECT
        sum(expected_bags) AS expected,
        sum(checked_in) AS checked_in,
        sum(inducted) AS inducted,
        sum(cleared) AS cleared,
        sum(makeup) AS makeup,
        sum(loaded) AS loaded
    FROM %s
    WHERE is_active AND dep_time <= $__toTime + INTERVAL ${hours} HOUR AND %s
    HAVING count() > 0
  ||| % [flights, ofAirport('flight_id')],

  // -- one flight

  flightSummary: |||
    SELECT
        toUnixTimestamp(dep_time) * 1000 AS departs,
        floor(dateDiff('second', $__toTime, bag_cutoff_time) / 60) AS minutes_to_cutoff,
        expected_bags,
        checked_in,
        loaded,
        loaded_pct,
        missing
    FROM flight_kpis
    WHERE flight_id = ${flight:singlequote} AND ts <= $__toTime
    ORDER BY ts DESC, checked_in + inducted + cleared + makeup + loaded DESC
    LIMIT 1
  |||,

  // Bags that the flight expects and that are not loaded on it: seen or not, and connecting ones that are still elsewhere.
  missingBags: |||
    WITH expected AS (
        SELECT * FROM (%(bags)s)
        WHERE flight_id = ${flight:singlequote} OR connection = ${flight:singlequote}
    )
    SELECT
        bag_id,
        if(stage = '', 'EXPECTED', stage) AS stage,
        if(last_scan_point = '', 'not seen yet', last_scan_point) AS last_scan_point,
        if(stage = '', NULL, dateDiff('second', last_event_time, $__toTime)) AS last_seen,
        itinerary_id,
        bag_state AS journey_state,
        if(connection = '', NULL, connection) AS connection
    FROM expected
    LEFT JOIN (
        SELECT bag_id, flight_id AS seen_on, stage, last_scan_point, last_event_time FROM %(latest)s
    ) AS latest USING bag_id
    WHERE connection = ${flight:singlequote}
       OR NOT (seen_on = ${flight:singlequote} AND %(rank)s >= %(loaded)d)
    ORDER BY last_event_time
  ||| % {
    bags: bagsOf('SELECT * FROM %s WHERE position(details_json, ${flight:singlequote}) > 0' % itineraries),
    latest: bags,
    rank: stageRank('stage'),
    loaded: loadedRank,
  },

  stagesOverTime: |||
    SELECT
        time,
        newest.1 AS expected,
        newest.2 AS checked_in,
        newest.3 AS inducted,
        newest.4 AS cleared,
        newest.5 AS makeup,
        newest.6 AS loaded
    FROM (
        SELECT $__timeInterval(ts) AS time, %s AS newest
        FROM flight_kpis
        WHERE flight_id = ${flight:singlequote} AND $__timeFilter(ts)
        GROUP BY time
    )
    ORDER BY time
  ||| % newestKpi('(expected_bags, checked_in, inducted, cleared, makeup, loaded)'),

  flightAlerts: |||
    SELECT
        created_at,
        severity,
        rule_id,
        JSONExtractUInt(payload_json, 'missing') AS missing,
        JSONExtractUInt(payload_json, 'loaded') AS loaded,
        JSONExtractUInt(payload_json, 'expected_bags') AS expected_bags
    FROM alerts
    WHERE flight_id = ${flight:singlequote} AND $__timeFilter(created_at)
    ORDER BY created_at DESC
    LIMIT 1 BY alert_id
  |||,

  // -- itineraries

  troubledCounts: |||
    SELECT
        countIf(journey_state = 'AT_RISK_FOR_CONNECTION') AS at_risk,
        countIf(journey_state = 'DELAYED_OR_REROUTED') AS delayed,
        countIf(journey_state = 'EXCEPTION') AS exception,
        count() AS itineraries
    FROM %s
  ||| % itineraries,

  troubledItineraries: |||
    SELECT
        itinerary_id,
        journey_state,
        bags_total,
        if(connection = '', NULL, connection) AS connection,
        if(cutoff = 0, NULL, floor((cutoff - toUnixTimestamp($__toTime)) / 60)) AS connection_left,
        dateDiff('second', ts, $__toTime) AS since
    FROM (
        SELECT *, arrayFirst(bag -> bag.journey_state = journey_state, mapValues(%(details)s)).connection AS connection
        FROM %(itineraries)s
        WHERE journey_state IN (${state:singlequote})
    ) AS troubled
    LEFT JOIN (
        SELECT flight_id, toUnixTimestamp(bag_cutoff_time) AS cutoff FROM %(flights)s
    ) AS onward ON onward.flight_id = troubled.connection
    ORDER BY
        indexOf([%(troubled)s], journey_state),
        if(journey_state = 'AT_RISK_FOR_CONNECTION', toFloat64(connection_left), toFloat64(since))
    LIMIT 500
  ||| % { itineraries: itineraries, flights: flights, troubled: quoted(facts.troubled), details: bagsInDetails },

  itineraryBags: |||
    SELECT
        bag_id,
        bag_state AS journey_state,
        if(stage = '', 'EXPECTED', stage) AS stage,
        of_bags.flight_id AS flight_id,
        if(last_scan_point = '', 'not seen yet', last_scan_point) AS last_scan_point,
        if(stage = '', NULL, dateDiff('second', last_event_time, $__toTime)) AS last_seen,
        if(connection = '', NULL, connection) AS connection
    FROM (%(bags)s) AS of_bags
    LEFT JOIN (
        SELECT bag_id, stage, last_scan_point, last_event_time FROM %(latest)s
        WHERE itinerary_id = ${itinerary:singlequote}
    ) AS latest USING bag_id
    ORDER BY bag_id
  ||| % {
    bags: bagsOf('SELECT * FROM itinerary_status WHERE itinerary_id = ${itinerary:singlequote} AND ts <= $__toTime ORDER BY ts DESC LIMIT 1'),
    latest: bags,
  },

  itineraryStages: |||
    SELECT ts AS time, bag_id, toFloat64(argMax(%(rank)s, (leg_index, last_event_time, %(rank)s))) AS stage
    FROM bag_latest
    WHERE itinerary_id = ${itinerary:singlequote} AND $__timeFilter(ts)
    GROUP BY time, bag_id
    ORDER BY time
  ||| % { rank: stageRank('stage') },

  itineraryHistory: |||
    SELECT time, what, journey_state, leg FROM (
        SELECT DISTINCT ts AS time, 'state' AS what, journey_state, toUInt32(current_leg_index) + 1 AS leg
        FROM itinerary_status
        WHERE itinerary_id = ${itinerary:singlequote} AND ts <= $__toTime
        UNION ALL
        SELECT
            created_at AS time, 'notification' AS what, journey_state,
            toUInt32(JSONExtractUInt(payload_json, 'current_leg_index')) + 1 AS leg
        FROM notifications
        WHERE itinerary_id = ${itinerary:singlequote} AND created_at <= $__toTime
          AND created_at > $__toTime - INTERVAL 72 HOUR
        LIMIT 1 BY notification_id
    )
    ORDER BY time DESC, what
  |||,

  // -- one bag

  // The row that bag_current takes.
  bagSummary: |||
    SELECT
        stage,
        toUInt32(leg_index) + 1 AS leg,
        flight_id,
        last_scan_point,
        dateDiff('second', last_event_time, $__toTime) AS last_seen,
        itinerary_id
    FROM bag_latest
    WHERE bag_id = ${bag:singlequote} AND ts <= $__toTime
    ORDER BY leg_index DESC, last_event_time DESC, ts DESC, %s DESC
    LIMIT 1
  ||| % stageRank('stage'),

  bagStages: |||
    SELECT
        ts AS time,
        concat('Leg ', toString(leg_index + 1)) AS leg,
        toFloat64(argMax(%(rank)s, (last_event_time, %(rank)s))) AS stage
    FROM bag_latest
    WHERE bag_id = ${bag:singlequote} AND $__timeFilter(ts)
    GROUP BY time, leg
    ORDER BY time
  ||| % { rank: stageRank('stage') },

  // Each change once, however often it was written, with the time since the one before it.
  bagChanges: |||
    SELECT
        last_event_time,
        stage,
        toUInt32(leg_index) + 1 AS leg,
        flight_id,
        last_scan_point,
        if(row_number() OVER changes = 1, NULL, dateDiff('second', lagInFrame(last_event_time) OVER changes, last_event_time)) AS gap
    FROM (
        SELECT last_event_time, stage, leg_index, flight_id, last_scan_point, min(ts) AS written
        FROM bag_latest
        WHERE bag_id = ${bag:singlequote} AND ts <= $__toTime
        GROUP BY last_event_time, stage, leg_index, flight_id, last_scan_point
    )
    WINDOW changes AS (
        ORDER BY leg_index, last_event_time, written, %(rank)s ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    )
    ORDER BY leg_index DESC, last_event_time DESC, written DESC, %(rank)s DESC
  ||| % { rank: stageRank('stage') },

  // The custody points of IATA Resolution 753; the transfer point only where the bag has a second leg.
  custodyPoints: |||
    WITH changes AS (
        SELECT leg_index, stage, min(last_event_time) AS at, argMin(last_scan_point, ts) AS place
        FROM bag_latest
        WHERE bag_id = ${bag:singlequote} AND ts <= $__toTime
        GROUP BY leg_index, stage
    )
    SELECT
        custody.1 AS point,
        minIfOrNull(at, is_it) AS reached,
        if(reached IS NULL, 'not recorded', argMinIf(place, at, is_it)) AS place
    FROM (
        SELECT *, has(custody.2, stage) AND leg_index BETWEEN custody.3 AND custody.4 AS is_it
        FROM changes
        CROSS JOIN (
            SELECT arrayJoin([
                ('1 Acceptance', ['CHECKED_IN'], 0, 0),
                ('2 Load', ['LOADED'], 0, 0),
                ('3 Transfer', ['EXPECTED'], 1, 255),
                ('4 Load, connection', ['LOADED'], 1, 255),
                ('5 Delivery', ['CAROUSEL'], 0, 255)
            ]) AS custody
        ) AS points
    )
    WHERE custody.3 = 0 OR (SELECT max(leg_index) FROM changes) > 0
    GROUP BY point
    ORDER BY point
  |||,

  // -- service quality

  mishandledByCause: |||
    SELECT
        1000 * countIf(cause = 'missed connection') / count() AS missed_connection,
        1000 * countIf(cause = 'not loaded') / count() AS not_loaded,
        1000 * countIf(cause = 'rerouted') / count() AS rerouted,
        1000 * countIf(cause = 'screening exception') / count() AS screening_exception,
        1000 * countIf(cause != '') / count() AS total,
        count() AS bags
    FROM (%s)
    HAVING count() > 0
  ||| % outcomes,

  mishandledByHour: |||
    SELECT
        toStartOfHour(departure) AS time,
        1000 * countIf(cause = 'missed connection') / count() AS missed_connection,
        1000 * countIf(cause = 'not loaded') / count() AS not_loaded,
        1000 * countIf(cause = 'rerouted') / count() AS rerouted,
        1000 * countIf(cause = 'screening exception') / count() AS screening_exception
    FROM (%s)
    GROUP BY time
    ORDER BY time
  ||| % outcomes,

  // Of the bags that passed a custody point, the share of which a scan says so, by the airport of the point. Each leg of
  // a bag is read once: the stages that were seen are the bits of a number.
  compliance: |||
    SELECT
        airport,
        100 * avgIfOrNull(recorded, point = 'acceptance') AS acceptance,
        100 * avgIfOrNull(recorded, point = 'load') AS load,
        100 * avgIfOrNull(recorded, point = 'transfer') AS transfer,
        100 * avgIfOrNull(recorded, point = 'delivery') AS delivery,
        count() AS scans_due
    FROM (
        SELECT
            arrayJoin(arrayFilter(due -> due.4, [
                (%(origin)s, 'acceptance', bitTest(seen, %(checked_in)d), leg_index = 0),
                (%(origin)s, 'load', bitTest(seen, %(loaded)d), furthest >= %(loaded)d),
                (%(origin)s, 'transfer', bitTest(seen, %(expected)d), leg_index > 0),
                (%(destination)s, 'delivery', bitTest(seen, %(carousel)d),
                 furthest > %(loaded)d AND arrived AND last_ts < $__toTime - INTERVAL 90 MINUTE)
            ])) AS due,
            due.1 AS airport,
            due.2 AS point,
            due.3 AS recorded
        FROM (
            SELECT
                bag_id,
                leg_index,
                any(flight_id) AS flight_id,
                groupBitOr(bitShiftLeft(toUInt16(1), rank)) AS seen,
                max(rank) AS furthest,
                max(ts) AS last_ts
            FROM (
                SELECT bag_id, leg_index, flight_id, ts, %(rank)s AS rank
                FROM bag_latest
                WHERE ts > $__fromTime - INTERVAL %(hours)d HOUR AND ts <= $__toTime
            )
            GROUP BY bag_id, leg_index
            HAVING last_ts > $__fromTime
        ) AS legs
        LEFT JOIN (
            SELECT bag_id, leg_index, 1 AS arrived FROM (%(bags)s)
            WHERE bag_state IN ('ARRIVED_AT_DESTINATION', 'ON_CAROUSEL')
        ) AS ended ON ended.bag_id = legs.bag_id AND ended.leg_index = legs.leg_index
    )
    WHERE $__conditionalAll(airport IN (${airport:singlequote}), $airport)
    GROUP BY airport
    ORDER BY scans_due DESC
  ||| % {
    rank: stageRank('stage'),
    hours: facts.activeHours,
    expected: rankOf('EXPECTED'),
    checked_in: rankOf('CHECKED_IN'),
    loaded: loadedRank,
    carousel: rankOf('CAROUSEL'),
    origin: origin('flight_id'),
    destination: destination('flight_id'),
    bags: bagsOf('SELECT * FROM ' + itineraries),
  },

  loadByHour: |||
    SELECT
        toStartOfHour(departure) AS time,
        100 * sum(loaded_at_cutoff) / sum(expected) AS loaded_by_cutoff,
        100 * sum(loaded_at_departure) / sum(expected) AS loaded_at_departure
    FROM (%s)
    WHERE expected > 0
    GROUP BY time
    ORDER BY time
  ||| % departures,

  departuresLeavingBags: |||
    SELECT
        flight_id,
        departure,
        expected,
        greatest(toInt64(expected) - loaded_at_departure, 0) AS left_behind,
        100 * loaded_at_cutoff / expected AS loaded_by_cutoff
    FROM (%s)
    WHERE expected > loaded_at_departure
    ORDER BY left_behind DESC, departure DESC
    LIMIT 100
  ||| % departures,

  // -- the pipeline itself

  // What is wrong of one kind, each thing by its name with the number that tells how wrong.
  findings(kind): |||
    SELECT subject, toFloat64(any(value)) AS value
    FROM pipeline_findings(at = $__toTime)
    WHERE finding = '%s'
    GROUP BY subject
    ORDER BY subject
  ||| % kind,

  allFindings: |||
    SELECT says FROM pipeline_findings(at = $__toTime) ORDER BY finding, subject
  |||,

  freshnessOverTime: |||
    SELECT $__timeInterval(ts) AS time, max(freshness_sec) AS freshness
    FROM flight_kpis
    WHERE $__timeFilter(ts)
    GROUP BY time
    ORDER BY time
  |||,

  health: |||
    SELECT
        (SELECT maxOrNull(freshness_sec) FROM flight_kpis
         WHERE ts > $__toTime - %s AND ts <= $__toTime) AS freshness,
        (SELECT if(count() = 0, NULL, dateDiff('second', max(ts), $__toTime)) FROM flight_kpis WHERE $__timeFilter(ts)) AS newest_kpi,
        (SELECT if(count() = 0, NULL, dateDiff('second', max(ts), $__toTime)) FROM bag_latest WHERE $__timeFilter(ts)) AS newest_bag,
        (SELECT uniqExact(source_topic, source_partition, source_offset) FROM dead_letters WHERE $__timeFilter(ts)) AS dead_letters,
        (SELECT uniqExact(alert_id) FROM withheld_alerts WHERE $__timeFilter(created_at)) AS withheld
  ||| % silence,

  // The newest row of each; no events: it has a schedule now. What the job knows of the others expires after two days.
  unscheduledFlights: |||
    SELECT flight_id, newest.1 AS bags, newest.2 AS events, newest.3 AS ts
    FROM (
        SELECT flight_id, argMax((bags, events, ts), (ts, events = 0, events)) AS newest
        FROM unscheduled_flights
        WHERE ts > $__toTime - INTERVAL 48 HOUR AND ts <= $__toTime
        GROUP BY flight_id
    )
    WHERE events > 0
    ORDER BY ts DESC, flight_id
    LIMIT 100
  |||,

  rowsPerSecond: 'SELECT * FROM (\n%s\n)\nORDER BY time' % std.join('\nUNION ALL\n', [
    "SELECT $__timeInterval(%(time)s) AS time, '%(table)s' AS table, count() / $__interval_s AS rows FROM %(table)s WHERE $__timeFilter(%(time)s) GROUP BY time"
    % { table: table[0], time: table[1] }
    for table in [
      ['flight_kpis', 'ts'],
      ['bag_latest', 'ts'],
      ['itinerary_status', 'ts'],
      ['alerts', 'created_at'],
      ['notifications', 'created_at'],
    ]
  ]),

  latency: |||
    SELECT
        $__timeInterval(ts) AS time,
        quantile(0.5)(dateDiff('second', last_event_time, ts)) AS p50,
        quantile(0.9)(dateDiff('second', last_event_time, ts)) AS p90,
        quantile(0.99)(dateDiff('second', last_event_time, ts)) AS p99
    FROM bag_latest
    WHERE $__timeFilter(ts)
    GROUP BY time
    ORDER BY time
  |||,

  deadLettersOverTime: |||
    SELECT $__timeInterval(ts) AS time, source_topic, uniqExact(source_partition, source_offset) AS dead_letters
    FROM dead_letters
    WHERE $__timeFilter(ts)
    GROUP BY time, source_topic
    ORDER BY time
  |||,

  deadLettersByReason: |||
    SELECT
        max(ts) AS newest,
        source_topic,
        field,
        reason,
        uniqExact(source_partition, source_offset) AS records,
        argMax(concat(toString(source_partition), '/', toString(source_offset)), (ts, source_partition, source_offset)) AS example
    FROM dead_letters
    WHERE $__timeFilter(ts)
    GROUP BY source_topic, field, reason
    ORDER BY newest DESC
    LIMIT 100
  |||,

  alertsPerMinute: |||
    SELECT toStartOfMinute(created_at) AS time, severity, uniqExact(alert_id) AS alerts
    FROM alerts
    WHERE $__timeFilter(created_at)
    GROUP BY time, severity
    ORDER BY time
  |||,

  notificationsPerMinute: |||
    SELECT toStartOfMinute(created_at) AS time, uniqExact(notification_id) AS notifications
    FROM notifications
    WHERE $__timeFilter(created_at)
    GROUP BY time
    ORDER BY time
  |||,

  // -- alert rules: one instance for each row, with the text columns as its labels

  // The alerts of a severity by flight and rule; `value` is the one number of the rows. A bank is the wave of departures
  // of an airport within an hour of cutoffs, which is one message; it is that of a flight's first alert, as the labels of
  // an alert that fires must not change when the cutoff is moved.
  alertsOfFlights(severity, value):: |||
    SELECT
        flight_id AS flight,
        rule_id AS rule,
        concat(%(origin)s, ' ', formatDateTime(any(first_cutoff), '%%H'), 'h') AS bank,
        toFloat64(%(value)s) AS value
    FROM (
        SELECT
            *,
            parseDateTimeBestEffort(JSONExtractString(payload_json, 'cutoff_time'), 'UTC') AS cutoff,
            argMin(cutoff, created_at) OVER (PARTITION BY flight_id) AS first_cutoff
        FROM alerts
        WHERE created_at > $__toTime - INTERVAL 1 DAY
            AND flight_id IN (SELECT flight_id FROM alerts WHERE $__timeFilter(created_at))
    )
    WHERE severity = '%(severity)s' AND $__timeFilter(created_at)
    GROUP BY flight_id, rule_id
    ORDER BY flight, rule
  ||| % { severity: severity, value: value, origin: origin('flight_id') },

  alertValues:: {
    alerts: 'uniqExact(alert_id)',
    missing: "argMax(JSONExtractUInt(payload_json, 'missing'), created_at)",
    expected: "argMax(JSONExtractUInt(payload_json, 'expected_bags'), created_at)",
    cutoff: 'toUnixTimestamp(argMax(cutoff, created_at))',
  },

  // How old what the dashboards show is: freshness_sec, or where no row is written the age of the newest one, if flights
  // were active then that have yet to depart. No row where none is active: that is no outage.
  freshness: |||
    SELECT toFloat64(if(newest >= $__fromTime, worst, dateDiff('second', newest, $__toTime))) AS value
    FROM (
        SELECT
            max(written) AS newest,
            max(freshness) AS worst,
            countIf(%(active)s) AS active
        FROM (
            SELECT
                %(departure)s AS departure,
                max(ts) AS written,
                maxIf(freshness_sec, ts >= $__fromTime) AS freshness,
                max(written) OVER () AS newest_of_all
            FROM flight_kpis
            WHERE ts > $__toTime - INTERVAL %(hours)d HOUR AND ts <= $__toTime
            GROUP BY flight_id
        )
    )
    WHERE newest >= $__fromTime OR active > 0
  ||| % {
    active: isActive('departure', 'written', 'newest_of_all'),
    departure: newestKpi('dep_time'),
    hours: facts.activeHours,
  },

  deadLetters: |||
    SELECT source_topic AS topic, toFloat64(uniqExact(source_partition, source_offset)) AS value
    FROM dead_letters
    WHERE $__timeFilter(ts)
    GROUP BY source_topic
    ORDER BY topic
  |||,
}
