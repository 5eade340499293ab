local clickhouse = import 'clickhouse.libsonnet';
local dashboards = import 'dashboards.libsonnet';
local g = import 'g.libsonnet';
local rules = import 'rules.libsonnet';

local group = g.alerting.ruleGroup;

// Where a link of a message leads; Grafana knows its own address.
local page(uid, parameters) = '{{ externalURL }}d/%s%s' % [uid, parameters];

local query(rule, name) =
  group.rule.data.withRefId(name)
  + group.rule.data.withDatasourceUid(clickhouse.uid)
  + group.rule.data.relativeTimeRange.withFrom(rule.window)
  + group.rule.data.relativeTimeRange.withTo(0)
  + group.rule.data.withModel(clickhouse.table(rule.values[name], name));

local threshold(rule) =
  group.rule.data.withRefId('fires')
  + group.rule.data.withDatasourceUid('__expr__')
  + group.rule.data.withModel({
    refId: 'fires',
    type: 'threshold',
    datasource: { type: '__expr__', uid: '__expr__' },
    expression: rule.decides,
    conditions: [{ evaluator: { type: 'gt', params: [rule.above] } }],
  });

local provisioned(rule) =
  { uid: rule.uid, title: rule.title, 'for': '0s' }
  + group.rule.withCondition('fires')
  + group.rule.withData([query(rule, name) for name in std.objectFields(rule.values)] + [threshold(rule)])
  + group.rule.withNoDataState(rule.noData)
  + group.rule.withExecErrState('Error')
  + group.rule.withLabels({ severity: rule.severity, team: rule.team })
  + group.rule.withAnnotations({
    summary: rule.summary,
    description: rule.description,
    dashboard: if rule.aboutFlight
    then page(dashboards.uids.flight, '?var-flight={{ urlquery $labels.flight }}')
    else page(dashboards.uids.pipeline, ''),
    runbook_url: page(dashboards.uids.runbooks, ''),
  });

{
  apiVersion: 1,
  groups: [{
    orgId: 1,
    name: 'baggage',
    folder: 'Baggage',
    interval: '30s',
    rules: [provisioned(rule) for rule in rules.all],
  }],
}
