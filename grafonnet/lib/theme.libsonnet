// Colours and thresholds, in one place. Red asks for action now, orange soon, yellow for attention.
local facts = std.extVar('facts');

{
  bad:: 'red',
  warning:: 'orange',
  attention:: 'yellow',
  good:: 'green',
  neutral:: 'blue',
  quiet:: 'text',

  // Threshold steps: the first colour is below all values, each [value, colour] from its value on.
  steps(first, rest=[]):: [{ value: null, color: first }] + [{ value: step[0], color: step[1] } for step in rest],

  none:: self.steps(self.quiet),
  // Anything but 0 is bad.
  zeroIsGood:: self.steps(self.good, [[1, self.bad]]),
  zeroIsCalm:: self.steps(self.good, [[1, self.warning]]),
  minutesToCutoff:: self.steps(self.bad, [[0, self.warning], [facts.lowLoadMinutes, self.attention], [60, self.good]]),
  connectionMinutesLeft:: self.steps(self.bad, [[0, self.warning], [facts.connectionMinutes, self.good]]),
  loadedPercent:: self.steps(self.bad, [[50, self.warning], [facts.lowLoadPercent, self.attention], [100, self.good]]),
  compliancePercent:: self.steps(self.bad, [[90, self.warning], [95, self.attention], [98, self.good]]),
  freshnessSeconds:: self.steps(self.good, [[30, self.attention], [61, self.bad]]),
  secondsSilent:: self.steps(self.good, [[30 * 60, self.attention], [60 * 60, self.warning]]),

  severities:: { CRITICAL: $.bad, WARN: $.warning },

  stages:: {
    EXPECTED: '#6e7079',
    CHECKED_IN: '#8ab8ff',
    INDUCTED: '#5794f2',
    CLEARED: '#3274d9',
    MAKEUP: '#b877d9',
    LOADED: '#73bf69',
    OFFLOADED: '#e0b400',
    CAROUSEL: '#37872d',
  },

  journeyStates:: {
    CHECKED_IN: '#8ab8ff',
    IN_ORIGIN_PROCESSING: '#5794f2',
    ON_FLIGHT: '#3274d9',
    ARRIVED_AT_HUB: '#b877d9',
    IN_TRANSFER_PROCESSING: '#8f3bb8',
    LOADED_ON_NEXT_FLIGHT: '#73bf69',
    ARRIVED_AT_DESTINATION: '#56a64b',
    ON_CAROUSEL: '#37872d',
    AT_RISK_FOR_CONNECTION: $.bad,
    DELAYED_OR_REROUTED: $.warning,
    EXCEPTION: '#c4162a',
  },
}
