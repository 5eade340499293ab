// The panels that the dashboards are made of, in one style. Every panel says what it shows, and what no data means.
local clickhouse = import 'clickhouse.libsonnet';
local g = import 'g.libsonnet';
local theme = import 'theme.libsonnet';
local facts = std.extVar('facts');

local base(kind, title, description, target, empty) =
  kind.new(title)
  + kind.panelOptions.withDescription(description)
  + kind.queryOptions.withDatasource(clickhouse.type, clickhouse.uid)
  + kind.queryOptions.withTargets([target])
  + kind.standardOptions.withNoValue(empty);

// A value mapping: text and colour by value.
local mapping(colours, texts={}) = [{
  type: 'value',
  options: {
    [value]: { text: std.get(texts, value, value), color: colours[value] }
    for value in std.objectFields(colours)
  },
}];

{
  // What a column, or a series, is called and how it looks: use in `columns` below.
  column:: {
    new(name, title, unit='none'):: {
      name:: name,
      matcher: { id: 'byName', options: name },
      properties: [{ id: 'displayName', value: title }, { id: 'unit', value: unit }],
    },
    with(id, value):: { properties+: [{ id: id, value: value }] },
    width(pixels):: self.with('custom.width', pixels),
    decimals(number):: self.with('decimals', number),
    noValue(text):: self.with('noValue', text),
    coloured(steps):: self.with('thresholds', { mode: 'absolute', steps: steps })
                      + self.with('custom.cellOptions', { type: 'color-text' }),
    filled(steps):: self.with('thresholds', { mode: 'absolute', steps: steps })
                    + self.with('custom.cellOptions', { type: 'color-background', mode: 'basic' }),
    gauge(steps, max):: self.with('thresholds', { mode: 'absolute', steps: steps })
                        + self.with('custom.cellOptions', { type: 'gauge', mode: 'basic', valueDisplayMode: 'text' })
                        + self.with('min', 0)
                        + self.with('max', max),
    named(colours, texts={}):: self.with('mappings', mapping(colours, texts))
                               + self.with('custom.cellOptions', { type: 'color-background', mode: 'basic' }),
    link(title, url):: self.with('links', [{ title: title, url: url }]),
    colour(colour):: self.with('color', { mode: 'fixed', fixedColor: colour }),
    thresholds(steps):: self.with('thresholds', { mode: 'absolute', steps: steps }),
  },

  table(title, description, sql, columns, empty)::
    local table = g.panel.table;
    base(table, title, description, clickhouse.table(sql), empty)
    + table.standardOptions.withUnit('none')
    + table.standardOptions.withOverrides(columns)
    + table.options.withCellHeight('sm')
    + table.options.withShowHeader(true)
    + { columns:: [column.name for column in columns] },

  // One row of a table; a tile for each column.
  stats(title, description, sql, columns, empty='no data')::
    local stat = g.panel.stat;
    base(stat, title, description, clickhouse.table(sql), empty)
    + stat.standardOptions.withUnit('none')
    + stat.standardOptions.color.withMode('thresholds')
    + stat.standardOptions.thresholds.withSteps(theme.none)
    + stat.standardOptions.withOverrides(columns)
    + stat.options.withColorMode('value')
    + stat.options.withGraphMode('none')
    + stat.options.withTextMode('value_and_name')
    + stat.options.withWideLayout(false)
    + stat.options.reduceOptions.withCalcs(['lastNotNull'])
    + stat.options.reduceOptions.withFields('/.*/')
    + { columns:: [column.name for column in columns] },

  bars(title, description, sql, columns, empty)::
    local bar = g.panel.barGauge;
    base(bar, title, description, clickhouse.table(sql), empty)
    + bar.standardOptions.withUnit('none')
    + bar.standardOptions.withMin(0)
    + bar.standardOptions.withOverrides(columns)
    + bar.options.withOrientation('horizontal')
    + bar.options.withDisplayMode('basic')
    + bar.options.withShowUnfilled(true)
    + bar.options.reduceOptions.withCalcs(['lastNotNull'])
    + bar.options.reduceOptions.withFields('/.*/')
    + { columns:: [column.name for column in columns] },

  // `name` is how a series is called: a label of it, or '' for the name of its column.
  lines(title, description, sql, unit, columns=[], label='', empty='no data in this time range')::
    local series = g.panel.timeSeries;
    base(series, title, description, clickhouse.series(sql), empty)
    + series.standardOptions.withUnit(unit)
    + series.standardOptions.withMin(0)
    // No finer than the rows come, or the points between them would be missing.
    + series.queryOptions.withInterval('%ds' % facts.kpiIntervalSeconds)
    + (if label == '' then {} else series.standardOptions.withDisplayName('${__field.labels.%s}' % label))
    + series.standardOptions.withOverrides(columns)
    + series.fieldConfig.defaults.custom.withFillOpacity(8)
    + series.fieldConfig.defaults.custom.withLineWidth(2)
    + series.fieldConfig.defaults.custom.withShowPoints('never')
    + series.fieldConfig.defaults.custom.withSpanNulls(true)
    + series.options.legend.withDisplayMode('list')
    + series.options.legend.withPlacement('bottom')
    + series.options.tooltip.withMode('multi')
    + series.options.tooltip.withSort('desc')
    + { columns:: ['time'] + [column.name for column in columns] },

  // Bars over time, on each other where there are several.
  columnsOverTime(title, description, sql, unit, columns=[], label='', empty='no data in this time range')::
    local custom = g.panel.timeSeries.fieldConfig.defaults.custom;
    self.lines(title, description, sql, unit, columns, label, empty)
    + custom.withDrawStyle('bars')
    + custom.withFillOpacity(70)
    + custom.withLineWidth(0)
    + custom.stacking.withMode('normal'),

  // Stages of bags over time, as numbers that stand for their names.
  stageTimeline(title, description, sql, label, empty)::
    local timeline = g.panel.stateTimeline;
    base(timeline, title, description, clickhouse.series(sql), empty)
    + timeline.standardOptions.withUnit('none')
    + timeline.standardOptions.withOverrides([])
    + timeline.standardOptions.withDisplayName('${__field.labels.%s}' % label)
    + timeline.standardOptions.withMappings(
      mapping(
        { [std.toString(n + 1)]: theme.stages[facts.stages[n]] for n in std.range(0, std.length(facts.stages) - 1) },
        { [std.toString(n + 1)]: facts.stages[n] for n in std.range(0, std.length(facts.stages) - 1) },
      )
    )
    // Grafonnet lacks it: a bag stays at its stage while another one moves.
    + { fieldConfig+: { defaults+: { custom+: { spanNulls: true } } } }
    + timeline.fieldConfig.defaults.custom.withFillOpacity(80)
    + timeline.options.withShowValue('auto')
    + timeline.options.withMergeValues(true)
    + timeline.options.withRowHeight(0.8)
    + timeline.options.legend.withShowLegend(false)
    + { columns:: ['time', label, 'stage'] },

  text(title, description, markdown)::
    local text = g.panel.text;
    text.new(title)
    + text.panelOptions.withDescription(description)
    + text.options.withMode('markdown')
    + text.options.withContent(markdown),
}
