local dashboards = import 'dashboards.libsonnet';
local panels = import 'panels.libsonnet';
local queries = import 'queries.libsonnet';
local theme = import 'theme.libsonnet';
local facts = std.extVar('facts');

local column = panels.column;

local counts = panels.stats(
  'Now',
  'Itineraries in trouble at the end of the time range, of all that were heard of in the last 36 hours.',
  queries.troubledCounts,
  [
    column.new('at_risk', 'at risk') + column.thresholds(theme.zeroIsGood),
    column.new('delayed', 'delayed or rerouted') + column.thresholds(theme.zeroIsCalm),
    column.new('exception', 'exception') + column.thresholds(theme.zeroIsCalm),
    column.new('itineraries', 'itineraries'),
  ],
);

local troubled = panels.table(
  'Itineraries in trouble',
  'Those at risk first, the least time left on top: there is still something to do for them. Then screening exceptions, and those that are delayed or rerouted: a missed connection, a cancelled flight, a bag left behind or sent elsewhere. "Left" is until the cutoff of the connection; at risk means less than %d minutes.' % facts.connectionMinutes,
  queries.troubledItineraries,
  [
    column.new('itinerary_id', 'Itinerary') + column.width(170) + column.link('Show below', dashboards.links.itinerary()),
    column.new('journey_state', 'Journey') + column.width(240) + column.named(theme.journeyStates),
    column.new('bags_total', 'Bags') + column.width(70),
    column.new('connection', 'Connection') + column.width(230) + column.link('Flight', dashboards.links.flight())
    + column.noValue('-'),
    column.new('connection_left', 'Left', 'm') + column.decimals(0) + column.coloured(theme.connectionMinutesLeft)
    + column.noValue('-'),
    column.new('since', 'Since', 's') + column.decimals(0),
  ],
  'No itinerary in trouble',
);

local bags = panels.table(
  'Bags of $itinerary',
  'Each bag of the selected itinerary with its latest state.',
  queries.itineraryBags,
  [
    column.new('bag_id', 'Bag') + column.width(170) + column.link('Journey', dashboards.links.bag()),
    column.new('journey_state', 'Journey') + column.width(220) + column.named(theme.journeyStates),
    column.new('stage', 'Stage') + column.width(120) + column.named(theme.stages),
    column.new('flight_id', 'On flight') + column.width(220) + column.link('Flight', dashboards.links.flight()),
    column.new('last_scan_point', 'Last scan point'),
    column.new('last_seen', 'Last seen ago', 's') + column.decimals(0) + column.noValue('never'),
    column.new('connection', 'Connects to') + column.link('Flight', dashboards.links.flight()) + column.noValue('-'),
  ],
  'No such itinerary, or all its bags have left it',
);

local stages = panels.stageTimeline(
  'Stages of its bags',
  'The stage of each bag over the time range.',
  queries.itineraryStages,
  'bag_id',
  'No scan in this time range',
);

local history = panels.table(
  'States and notifications',
  'Every state that the itinerary had, and what its passenger was told, newest first.',
  queries.itineraryHistory,
  [
    column.new('time', 'At', 'time: MM-DD HH:mm:ss') + column.width(130),
    column.new('what', '') + column.width(100),
    column.new('journey_state', 'Journey') + column.named(theme.journeyStates),
    column.new('leg', 'Leg') + column.width(60),
  ],
  'No such itinerary',
);

dashboards.new(
  'Itinerary View',
  dashboards.uids.itineraries,
  'Which passengers will miss their bags, and what has happened to them.',
  [dashboards.variables.state, dashboards.variables.itinerary],
  [
    { height: 4, panels: [{ width: 24, panel: counts }] },
    { height: 10, panels: [{ width: 24, panel: troubled }] },
    { height: 5, panels: [{ width: 24, panel: bags }] },
    { height: 7, panels: [{ width: 14, panel: stages }, { width: 10, panel: history }] },
  ],
)
