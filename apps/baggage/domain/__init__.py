"""The rules of the specification as pure functions and values: no I/O, no clock, no framework."""
