local dashboards = import 'dashboards.libsonnet';
local g = import 'g.libsonnet';
local panels = import 'panels.libsonnet';
local queries = import 'queries.libsonnet';
local theme = import 'theme.libsonnet';

local column = panels.column;

local causes = [
  column.new('missed_connection', 'missed connection') + column.decimals(1) + column.colour(theme.warning),
  column.new('not_loaded', 'not loaded') + column.decimals(1) + column.colour(theme.attention),
  column.new('rerouted', 'rerouted') + column.decimals(1) + column.colour(theme.neutral),
  column.new('screening_exception', 'screening exception') + column.decimals(1) + column.colour(theme.bad),
];

local mishandled = panels.stats(
  'Mishandled per 1,000 bags',
  'Of the bags on flights that departed in the time range: those whose connection left without them, those left behind at their first airport, those that took another flight or were seen off their route, and those that screening kept. The industry reports 6.3 for 2024 (SITA).',
  queries.mishandledByCause,
  causes + [
    column.new('total', 'all causes') + column.decimals(1),
    column.new('bags', 'bags departed'),
  ],
  'no departure in this time range',
);

local byHour = panels.columnsOverTime(
  'Mishandled per 1,000 bags, by hour of departure',
  'The same by the hour in which the flight departed.',
  queries.mishandledByHour,
  'none',
  causes,
);

local load = panels.lines(
  'Loaded by cutoff, by hour of departure',
  'Share of the expected bags that was loaded when the flight closed, and when it departed.',
  queries.loadByHour,
  'percent',
  [
    column.new('loaded_by_cutoff', 'by cutoff') + column.colour(theme.neutral),
    column.new('loaded_at_departure', 'at departure') + column.colour(theme.good),
  ],
) + g.panel.timeSeries.standardOptions.withMax(100)
             + { fieldConfig+: { defaults+: { min: 80 } } };

local compliance = panels.table(
  'IATA Resolution 753, by airport',
  'Of the bags that passed a custody point at the airport, the share whose scan says so. A scan that came in only after a later one does not count; deliveries are due 90 minutes after the last scan.',
  queries.compliance,
  [
    column.new('airport', 'Airport') + column.width(90),
    column.new('acceptance', 'Acceptance', 'percent') + column.decimals(1) + column.coloured(theme.compliancePercent) + column.noValue('-'),
    column.new('load', 'Load', 'percent') + column.decimals(1) + column.coloured(theme.compliancePercent) + column.noValue('-'),
    column.new('transfer', 'Transfer', 'percent') + column.decimals(1) + column.coloured(theme.compliancePercent) + column.noValue('-'),
    column.new('delivery', 'Delivery', 'percent') + column.decimals(1) + column.coloured(theme.compliancePercent) + column.noValue('-'),
    column.new('scans_due', 'Scans due'),
  ],
  'no scan in this time range',
);

local leaving = panels.table(
  'Departed without all their bags',
  'Flights that departed in the time range and left bags behind, the most first.',
  queries.departuresLeavingBags,
  [
    column.new('flight_id', 'Flight') + column.width(230) + column.link('Flight', dashboards.links.flight()),
    column.new('departure', 'Departed', 'time: MM-DD HH:mm') + column.width(130),
    column.new('expected', 'Expected'),
    column.new('left_behind', 'Left behind') + column.coloured(theme.zeroIsGood),
    column.new('loaded_by_cutoff', 'Loaded by cutoff', 'percent') + column.decimals(1) + column.coloured(theme.loadedPercent),
  ],
  'No flight left a bag behind',
);

dashboards.new(
  'Service Quality',
  dashboards.uids.quality,
  'How well bags were handled: mishandling by cause, custody scans, loading.',
  [dashboards.variables.airport],
  [
    { height: 4, panels: [{ width: 24, panel: mishandled }] },
    { height: 10, panels: [{ width: 12, panel: byHour }, { width: 12, panel: load }] },
    { height: 12, panels: [{ width: 12, panel: compliance }, { width: 12, panel: leaving }] },
  ],
  from='now-24h',
  refresh='5m',
)
