"""The three Flink jobs: thin operators that call `baggage.domain` (specification section 6)."""
