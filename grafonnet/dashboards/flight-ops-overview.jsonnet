local clickhouse = import 'clickhouse.libsonnet';
local dashboards = import 'dashboards.libsonnet';
local g = import 'g.libsonnet';
local panels = import 'panels.libsonnet';
local queries = import 'queries.libsonnet';
local theme = import 'theme.libsonnet';
local facts = std.extVar('facts');

local column = panels.column;

local totals = panels.stats(
  'Now',
  |||
    At the end of the time range, from left to right: flights whose baggage is still open; bags not loaded on flights that close
    within %d minutes or have closed; itineraries that may miss their connection, and those that are delayed or rerouted; alerts of the last two
    minutes; and how stale the pipeline is: above 60 s nothing here is current.
  ||| % facts.lowLoadMinutes,
  queries.totals,
  [
    column.new('flights_open', 'flights open'),
    column.new('bags_missing', 'bags missing, closing or closed') + column.thresholds(theme.zeroIsGood),
    column.new('at_risk', 'itineraries at risk') + column.thresholds(theme.zeroIsCalm)
    + column.link('Itineraries', '/d/%s?${__url_time_range}' % dashboards.uids.itineraries),
    column.new('delayed', 'itineraries delayed') + column.thresholds(theme.zeroIsCalm)
    + column.link('Itineraries', '/d/%s?${__url_time_range}' % dashboards.uids.itineraries),
    column.new('alerts_now', 'alerts now') + column.thresholds(theme.zeroIsGood),
    column.new('freshness', 'freshness', 's') + column.thresholds(theme.freshnessSeconds) + column.noValue('no rows')
    + column.link('Pipeline', '/d/%s?${__url_time_range}' % dashboards.uids.pipeline),
  ],
);

local flights = panels.table(
  'Flights',
  'Departures of the hours ahead, those with the most missing bags first. A click on a flight shows its missing bags. Red: closed; orange: closes within %d minutes. A cancelled flight leaves the table.' % facts.lowLoadMinutes,
  queries.flightsByUrgency,
  [
    column.new('flight_id', 'Flight') + column.width(230) + column.link('Missing bags', dashboards.links.flight()),
    column.new('dep_time', 'Departs', 'time: HH:mm') + column.width(90),
    column.new('minutes_to_cutoff', 'Cutoff in', 'm') + column.decimals(0) + column.filled(theme.minutesToCutoff),
    column.new('expected_bags', 'Expected'),
    column.new('checked_in', 'Checked in'),
    column.new('makeup', 'Made up'),
    column.new('loaded', 'Loaded'),
    column.new('loaded_pct', 'Loaded %', 'percent') + column.decimals(0) + column.gauge(theme.loadedPercent, 100),
    column.new('missing', 'Missing') + column.coloured(theme.zeroIsGood),
  ],
  'No flight departs in these hours',
);

local loaded = panels.lines(
  'Loaded',
  'Share of the expected bags that is loaded, for the flights selected above; a mark at each cutoff.',
  queries.loadedOverTime,
  'percent',
  label='flight_id',
  empty='Select a flight that departs soon',
) + g.panel.timeSeries.standardOptions.withMax(100);

local funnel = panels.bars(
  'Bags of these flights, by stage reached',
  'How many bags of the flights in the table have come how far. A bag counts in every stage that it has passed.',
  queries.funnel,
  [
    column.new('expected', 'expected') + column.colour(theme.stages.EXPECTED),
    column.new('checked_in', 'checked in') + column.colour(theme.stages.CHECKED_IN),
    column.new('inducted', 'inducted') + column.colour(theme.stages.INDUCTED),
    column.new('cleared', 'cleared') + column.colour(theme.stages.CLEARED),
    column.new('makeup', 'made up') + column.colour(theme.stages.MAKEUP),
    column.new('loaded', 'loaded') + column.colour(theme.stages.LOADED),
  ],
  'No flight departs in these hours',
);

dashboards.new(
  'Flight Ops Overview',
  dashboards.uids.flights,
  'Which flights will leave bags behind, while there is time to act.',
  [dashboards.variables.airport, dashboards.variables.hours, dashboards.variables.flights],
  [
    { height: 4, panels: [{ width: 24, panel: totals }] },
    { height: 13, panels: [{ width: 24, panel: flights }] },
    { height: 9, panels: [{ width: 14, panel: loaded }, { width: 10, panel: funnel }] },
  ],
)
+ g.dashboard.withAnnotations([
  g.dashboard.annotation.withName('Cutoffs')
  + g.dashboard.annotation.withEnable(true)
  + g.dashboard.annotation.withIconColor(theme.warning)
  + g.dashboard.annotation.datasource.withType(clickhouse.type)
  + g.dashboard.annotation.datasource.withUid(clickhouse.uid)
  + { target: clickhouse.table(queries.cutoffs, 'annotation') },
])
