local dashboards = import 'dashboards.libsonnet';
local panels = import 'panels.libsonnet';
local rules = import 'rules.libsonnet';

local panel(rule) = panels.text(rule.title, 'What to do when this alert comes.', rule.runbook);
local health = panels.text('Servers and jobs', 'What to do when an alert of the monitor comes.', rules.health[0].runbook);

dashboards.new(
  'Runbooks',
  dashboards.uids.runbooks,
  'What each alert means, what to check, and what to do.',
  [],
  [
    { height: 12, panels: [{ width: 12, panel: panel(rule) } for rule in rules.all[0:2]] },
    { height: 14, panels: [{ width: 12, panel: panel(rule) } for rule in rules.all[2:4]] },
    { height: 18, panels: [{ width: 24, panel: health }] },
  ],
  refresh='',
)
