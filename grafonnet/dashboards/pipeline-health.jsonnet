local dashboards = import 'dashboards.libsonnet';
local panels = import 'panels.libsonnet';
local queries = import 'queries.libsonnet';
local theme = import 'theme.libsonnet';

local column = panels.column;

local health = panels.stats(
  'Now',
  'Freshness is how old the newest scan is that the jobs have processed; above 60 s Kafka, a job or the generator has stopped. "Newest" is the age of the newest row; there is no newer KPI row while no flight is active. Dead letters are records that could not be used, and alerts withheld those not raised while a backlog was read after a start, both in the time range.',
  queries.health,
  [
    column.new('freshness', 'freshness', 's') + column.thresholds(theme.freshnessSeconds) + column.noValue('no rows'),
    column.new('newest_kpi', 'newest KPI row', 's') + column.thresholds(theme.freshnessSeconds) + column.noValue('none'),
    column.new('newest_bag', 'newest bag row', 's') + column.thresholds(theme.freshnessSeconds) + column.noValue('none'),
    column.new('dead_letters', 'dead letters') + column.thresholds(theme.zeroIsGood),
    column.new('withheld', 'alerts withheld'),
  ],
);

local findings = panels.table(
  'What is wrong',
  'What the monitor finds wrong with servers and jobs; each has an alert and a runbook.',
  queries.allFindings,
  [column.new('says', 'Finding')],
  'Nothing is wrong',
);

local freshness = panels.lines(
  'Freshness',
  'Seconds since the newest scan that the jobs have processed; an alert above 60.',
  queries.freshnessOverTime,
  's',
  [column.new('freshness', 'freshness', 's')],
);

local rows = panels.lines(
  'Rows per second, by table',
  'What the jobs write to ClickHouse.',
  queries.rowsPerSecond,
  'rowsps',
  label='table',
);

local latency = panels.lines(
  'From scan to row',
  'Time from the scan to the row of bag_latest. It includes how late the reader sends: one scan in twenty comes minutes late, which is what the upper lines show.',
  queries.latency,
  's',
  [
    column.new('p50', 'half', 's') + column.colour(theme.good),
    column.new('p90', '90 %', 's') + column.colour(theme.attention),
    column.new('p99', '99 %', 's') + column.colour(theme.warning),
  ],
);

local alerts = panels.columnsOverTime(
  'Alerts per minute',
  'One alert a minute for each flight and rule that holds.',
  queries.alertsPerMinute,
  'none',
  label='severity',
  empty='No alerts',
);

local notifications = panels.columnsOverTime(
  'Notifications per minute',
  'Changes of journey states that passengers are told of.',
  queries.notificationsPerMinute,
  'none',
  [column.new('notifications', 'notifications')],
  empty='No notifications',
);

local unscheduled = panels.table(
  'Flights without a schedule',
  'Flights that scans name and no schedule does: a wrong flight number, or a schedule that has not come. Their bags count for no flight. Those of the last 48 hours, the newest first.',
  queries.unscheduledFlights,
  [
    column.new('flight_id', 'Flight') + column.width(240),
    column.new('bags', 'Bags') + column.width(80),
    column.new('events', 'Scans') + column.width(80),
    column.new('ts', 'Newest', 'time: MM-DD HH:mm:ss'),
  ],
  'Every flight has a schedule',
);

local deadLetters = panels.columnsOverTime(
  'Dead letters',
  'Records that could not be used, by topic.',
  queries.deadLettersOverTime,
  'none',
  label='source_topic',
  empty='No dead letters',
);

local reasons = panels.table(
  'Why records could not be used',
  'Dead letters by reason. The records are whole on baggage.dead-letter.v1; the example is partition/offset on their topic.',
  queries.deadLettersByReason,
  [
    column.new('newest', 'Newest', 'time: MM-DD HH:mm:ss') + column.width(140),
    column.new('source_topic', 'Topic') + column.width(190),
    column.new('field', 'Field') + column.width(120),
    column.new('reason', 'Reason'),
    column.new('records', 'Records') + column.width(80),
    column.new('example', 'Example') + column.width(100),
  ],
  'No dead letters',
);

dashboards.new(
  'Pipeline Health',
  dashboards.uids.pipeline,
  'Whether what the other dashboards show is current and complete.',
  [],
  [
    { height: 5, panels: [{ width: 14, panel: health }, { width: 10, panel: findings }] },
    { height: 7, panels: [{ width: 8, panel: freshness }, { width: 8, panel: rows }, { width: 8, panel: latency }] },
    { height: 7, panels: [{ width: 8, panel: alerts }, { width: 7, panel: notifications }, { width: 9, panel: unscheduled }] },
    { height: 7, panels: [{ width: 8, panel: deadLetters }, { width: 16, panel: reasons }] },
  ],
  from='now-1h',
)
