// Who is told, and how many messages that makes.
local rules = import 'rules.libsonnet';

local address(team) = '$%s_EMAIL' % std.asciiUpper(team);

{
  apiVersion: 1,
  contactPoints: [
    {
      orgId: 1,
      name: team,
      receivers: [{
        uid: team,
        type: 'email',
        // The environment variable of the pod: each environment has its own.
        settings: { addresses: address(team), singleEmail: true },
      }],
    }
    for team in rules.teams
  ],
  policies: [{
    orgId: 1,
    receiver: 'platform',
    group_by: ['alertname'],
    group_wait: '10s',
    group_interval: '1m',
    repeat_interval: '1h',
    routes: [{
      receiver: 'operations',
      object_matchers: [['team', '=', 'operations']],
      // A message for each bank of flights, with all its flights and both rules: a bad bank is one message, not thirty.
      group_by: ['bank'],
      group_wait: '30s',
      group_interval: '2m',
      repeat_interval: '30m',
    }],
  }],
}
