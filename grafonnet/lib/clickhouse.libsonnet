// The datasource, and queries to it as the ClickHouse plugin stores them.
local facts = std.extVar('facts');

local formats = { series: 0, table: 1 };

{
  type:: 'grafana-clickhouse-datasource',
  uid:: 'clickhouse',
  ref:: { type: $.type, uid: $.uid },

  local query(sql, refId, kind) = {
    refId: refId,
    datasource: $.ref,
    editorType: 'sql',
    // `timeseries` and `table` for the editor; `format` is what the backend reads.
    queryType: if kind == 'series' then 'timeseries' else 'table',
    format: formats[kind],
    rawSql: sql,
  },

  // A table: the rows as they are.
  table(sql, refId='A'):: query(sql, refId, 'table'),
  // A time series: a column `time`, and one series for each number and each value of the text columns.
  series(sql, refId='A'):: query(sql, refId, 'series'),
}
