local dashboards = import 'dashboards.libsonnet';
local panels = import 'panels.libsonnet';
local queries = import 'queries.libsonnet';
local theme = import 'theme.libsonnet';

local column = panels.column;

local summary = panels.stats(
  '$flight',
  'The flight at the end of the time range; after its departure, as it departed; if it is cancelled, as it was then.',
  queries.flightSummary,
  [
    column.new('departs', 'departs', 'time: HH:mm'),
    column.new('minutes_to_cutoff', 'cutoff in', 'm') + column.decimals(0) + column.thresholds(theme.minutesToCutoff),
    column.new('expected_bags', 'expected'),
    column.new('checked_in', 'checked in'),
    column.new('loaded', 'loaded'),
    column.new('loaded_pct', 'loaded', 'percent') + column.decimals(1) + column.thresholds(theme.loadedPercent),
    column.new('missing', 'missing') + column.thresholds(theme.zeroIsGood),
  ],
  empty='unknown flight',
);

local missing = panels.table(
  'Missing bags',
  'Every bag that the flight expects and that is not loaded on it: where it was last seen, longest ago first. A bag that nobody has seen yet, that was taken off again, or that is still on its way to this airport, is in the list, too.',
  queries.missingBags,
  [
    column.new('bag_id', 'Bag') + column.width(170) + column.link('Journey', dashboards.links.bag()),
    column.new('stage', 'Stage') + column.width(130) + column.named(theme.stages),
    column.new('last_scan_point', 'Last scan point') + column.width(190),
    column.new('last_seen', 'Last seen ago', 's') + column.decimals(0) + column.coloured(theme.secondsSilent)
    + column.noValue('never'),
    column.new('itinerary_id', 'Itinerary') + column.width(170) + column.link('Itinerary', dashboards.links.itinerary()),
    column.new('journey_state', 'Journey') + column.width(240) + column.named(theme.journeyStates),
    column.new('connection', 'Connects to') + column.width(230) + column.link('Flight', dashboards.links.flight())
    + column.noValue('-'),
  ],
  'No bags missing',
);

local stages = panels.lines(
  'Progress by stage',
  'How many bags of the flight have reached each stage, over the time range.',
  queries.stagesOverTime,
  'none',
  [
    column.new('expected', 'expected') + column.colour(theme.stages.EXPECTED),
    column.new('checked_in', 'checked in') + column.colour(theme.stages.CHECKED_IN),
    column.new('inducted', 'inducted') + column.colour(theme.stages.INDUCTED),
    column.new('cleared', 'cleared') + column.colour(theme.stages.CLEARED),
    column.new('makeup', 'made up') + column.colour(theme.stages.MAKEUP),
    column.new('loaded', 'loaded') + column.colour(theme.stages.LOADED),
  ],
  empty='The flight is not active in this time range',
);

local alerts = panels.table(
  'Alerts of this flight',
  'What the alert rules said of the flight in the time range, newest first.',
  queries.flightAlerts,
  [
    column.new('created_at', 'At', 'time: HH:mm:ss') + column.width(100),
    column.new('severity', 'Severity') + column.width(100) + column.named(theme.severities),
    column.new('rule_id', 'Rule') + column.width(150),
    column.new('missing', 'Missing'),
    column.new('loaded', 'Loaded'),
    column.new('expected_bags', 'Expected'),
  ],
  'No alerts',
);

dashboards.new(
  'Flight Drilldown',
  dashboards.uids.flight,
  'One flight: which bags are missing, and where they were last seen.',
  [dashboards.variables.flight],
  [
    { height: 4, panels: [{ width: 24, panel: summary }] },
    { height: 12, panels: [{ width: 24, panel: missing }] },
    { height: 10, panels: [{ width: 13, panel: stages }, { width: 11, panel: alerts }] },
  ],
)
