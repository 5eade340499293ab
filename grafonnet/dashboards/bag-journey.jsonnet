local dashboards = import 'dashboards.libsonnet';
local panels = import 'panels.libsonnet';
local queries = import 'queries.libsonnet';
local theme = import 'theme.libsonnet';

local column = panels.column;

local summary = panels.stats(
  '$bag',
  'The latest state of the bag at the end of the time range.',
  queries.bagSummary,
  [
    column.new('stage', 'stage') + column.with('color', { mode: 'fixed', fixedColor: theme.neutral }),
    column.new('leg', 'leg'),
    column.new('flight_id', 'flight') + column.link('Flight', dashboards.links.flight()),
    column.new('last_scan_point', 'last scan point'),
    column.new('last_seen', 'last seen ago', 's') + column.decimals(0),
    column.new('itinerary_id', 'itinerary') + column.link('Itinerary', dashboards.links.itinerary()),
  ],
  empty='unknown bag',
);

local custody = panels.table(
  'Custody points',
  'IATA Resolution 753: where the bag changed hands. A point that is not recorded may still lie ahead, or its scan is missing. A scan that came in only after a later one does not count here.',
  queries.custodyPoints,
  [
    column.new('point', 'Point') + column.width(180),
    column.new('reached', 'At', 'time: MM-DD HH:mm') + column.width(120) + column.noValue('-'),
    column.new('place', 'Where'),
  ],
  'No such bag',
);

local stages = panels.stageTimeline(
  'Stages',
  'The stage of the bag over the time range, leg by leg.',
  queries.bagStages,
  'leg',
  'No scan in this time range: widen it',
);

local changes = panels.table(
  'Every change',
  'Each change of state with its time and place, newest first. "Gap" is the time since the change before: orange and yellow gaps are long for a bag that should be moving.',
  queries.bagChanges,
  [
    column.new('last_event_time', 'At', 'time: MM-DD HH:mm:ss') + column.width(150),
    column.new('stage', 'Stage') + column.width(130) + column.named(theme.stages),
    column.new('leg', 'Leg') + column.width(60),
    column.new('flight_id', 'Flight') + column.width(230) + column.link('Flight', dashboards.links.flight()),
    column.new('last_scan_point', 'Where'),
    column.new('gap', 'Gap', 's') + column.decimals(0) + column.coloured(theme.secondsSilent) + column.noValue('-'),
  ],
  'No such bag',
);

dashboards.new(
  'Bag Journey',
  dashboards.uids.bag,
  'One bag: everywhere it was, and who had it.',
  [dashboards.variables.bag],
  [
    { height: 4, panels: [{ width: 24, panel: summary }] },
    { height: 8, panels: [{ width: 14, panel: stages }, { width: 10, panel: custody }] },
    { height: 12, panels: [{ width: 24, panel: changes }] },
  ],
  from='now-12h',
  refresh='30s',
)
