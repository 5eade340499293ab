// What the dashboards have in common: how they are called, laid out, filtered and linked.
local clickhouse = import 'clickhouse.libsonnet';
local g = import 'g.libsonnet';
local queries = import 'queries.libsonnet';
local facts = std.extVar('facts');

local variable = g.dashboard.variable;
local link = g.dashboard.link;

local tag = 'baggage';

local queryVariable(name, label, sql, description) =
  variable.query.new(name, sql)
  + variable.query.withDatasource(clickhouse.type, clickhouse.uid)
  + variable.query.refresh.onTime()
  + variable.query.generalOptions.withLabel(label)
  + variable.query.generalOptions.withDescription(description);

local url(uid, variables) = '/d/%s?${__url_time_range}&%s' % [
  uid,
  std.join('&', ['var-%s=%s' % [name, variables[name]] for name in std.objectFields(variables)]),
];

{
  uids:: {
    flights: 'baggage-flights',
    flight: 'baggage-flight',
    itineraries: 'baggage-itineraries',
    bag: 'baggage-bag',
    quality: 'baggage-quality',
    pipeline: 'baggage-pipeline',
    runbooks: 'baggage-runbooks',
  },

  // Links of a table's cell, and of a row's other columns, to the dashboard about it.
  links:: {
    flight(field='${__value.raw}'):: url($.uids.flight, { flight: field }),
    itinerary(field='${__value.raw}'):: url($.uids.itineraries, { itinerary: field }),
    bag(field='${__value.raw}'):: url($.uids.bag, { bag: field }),
  },

  variables:: {
    flight:: queryVariable('flight', 'Flight', queries.flightOptions, 'Type to search; the flights that close next come first.'),
    flights:: self.flight + variable.query.selectionOptions.withMulti(true),
    itinerary:: queryVariable(
      'itinerary',
      'Itinerary',
      queries.itineraryOptions,
      'Type to search, or enter any id; those in trouble come first.',
    ),
    bag:: queryVariable(
      'bag',
      'Bag',
      queries.bagOptions,
      'Type to search, or enter any id; those in trouble come first.',
    ),
    airport::
      queryVariable('airport', 'From', queries.airportOptions, 'The airport that the flights leave from.')
      + variable.query.selectionOptions.withMulti(true)
      + variable.query.selectionOptions.withIncludeAll(true)
      + variable.query.generalOptions.withCurrent('All', '$__all'),
    hours::
      variable.custom.new('hours', [std.toString(facts.activeHours), '3', '1'])
      + variable.custom.generalOptions.withLabel('Hours ahead')
      + variable.custom.generalOptions.withDescription('Flights that depart within so many hours.'),
    state::
      variable.custom.new('state', facts.troubled)
      + variable.custom.selectionOptions.withMulti(true)
      + variable.custom.generalOptions.withLabel('State')
      + variable.custom.generalOptions.withDescription('Which itineraries the table shows.')
      + variable.custom.generalOptions.withCurrent(facts.troubled, facts.troubled),
  },

  // `rows` is an array of { height, panels: [{ width, panel }] }; the widths of a row add up to 24.
  new(title, uid, description, variables, rows, from='now-6h', refresh='10s')::
    local y(n) = std.foldl(function(sum, row) sum + row.height, rows[0:n], 0);
    local x(row, n) = std.foldl(function(sum, cell) sum + cell.width, row.panels[0:n], 0);
    g.dashboard.new(title)
    + g.dashboard.withUid(uid)
    + g.dashboard.withDescription(description)
    + g.dashboard.withTags([tag])
    + g.dashboard.withTimezone('utc')
    + g.dashboard.withEditable(false)
    + g.dashboard.withRefresh(refresh)
    + g.dashboard.time.withFrom(from)
    + g.dashboard.time.withTo('now')
    + g.dashboard.graphTooltip.withSharedCrosshair()
    + g.dashboard.withVariables(variables)
    + g.dashboard.withLinks([
      link.dashboards.new('Baggage', [tag])
      + link.dashboards.options.withKeepTime(true)
      + link.dashboards.options.withIncludeVars(true),
    ])
    + g.dashboard.withPanels([
      rows[r].panels[c].panel + {
        gridPos: { x: x(rows[r], c), y: y(r), w: rows[r].panels[c].width, h: rows[r].height },
      }
      for r in std.range(0, std.length(rows) - 1)
      for c in std.range(0, std.length(rows[r].panels) - 1)
    ]),
}
