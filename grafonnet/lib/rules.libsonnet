// The alert rules of section 8.3 of the specification, and one for dead letters.
local queries = import 'queries.libsonnet';

local baggage = 'operations';
local platform = 'platform';

{
  teams:: [baggage, platform],

  // `values`: the number that decides, and more for the text. The deciding one fires above `above`.
  all: [
    {
      uid: 'baggage-missed-cutoff',
      title: 'CRITICAL: bags missing after the cutoff',
      severity: 'critical',
      team: baggage,
      runbook: importstr '../runbooks/missed-cutoff.md',
      window: 120,
      decides: 'alerts',
      above: 0,
      values: { [name]: queries.alertsOfFlights('CRITICAL', queries.alertValues[name]) for name in std.objectFieldsAll(queries.alertValues) },
      noData: 'OK',
      aboutFlight: true,
      summary: '{{ $labels.flight }}: {{ $values.missing.Value }} of {{ $values.expected.Value }} bags are not loaded',
      description: '{{ $labels.rule }}. Cutoff {{ humanizeTimestamp $values.cutoff.Value }}.',
    },
    {
      uid: 'baggage-low-load-rate',
      title: 'WARN: too few bags loaded before the cutoff',
      severity: 'warning',
      team: baggage,
      runbook: importstr '../runbooks/low-load-rate.md',
      window: 120,
      decides: 'alerts',
      above: 0,
      values: { [name]: queries.alertsOfFlights('WARN', queries.alertValues[name]) for name in std.objectFieldsAll(queries.alertValues) },
      noData: 'OK',
      aboutFlight: true,
      summary: '{{ $labels.flight }}: {{ $values.missing.Value }} of {{ $values.expected.Value }} bags are not loaded yet',
      description: '{{ $labels.rule }}. Cutoff {{ humanizeTimestamp $values.cutoff.Value }}.',
    },
    {
      uid: 'baggage-pipeline-freshness',
      title: 'Pipeline is stale',
      severity: 'critical',
      team: platform,
      runbook: importstr '../runbooks/pipeline-freshness.md',
      window: 120,
      decides: 'freshness',
      above: 60,
      values: { freshness: queries.freshness },
      noData: 'OK',
      aboutFlight: false,
      summary: 'The newest scan that was processed is over 60 s old, or no row is written although flights are active',
      description: 'What the dashboards show is {{ with $values.freshness }}{{ humanizeDuration .Value }} old{{ else }}of unknown age{{ end }}.',
    },
    {
      uid: 'baggage-dead-letters',
      title: 'Records could not be used',
      severity: 'warning',
      team: platform,
      runbook: importstr '../runbooks/dead-letters.md',
      window: 300,
      decides: 'records',
      above: 0,
      values: { records: queries.deadLetters },
      noData: 'OK',
      aboutFlight: false,
      summary: '{{ $values.records.Value }} records of {{ $labels.topic }} became dead letters in 5 minutes',
      description: 'Their reasons are on the dashboard Pipeline Health.',
    },
  ],
}
