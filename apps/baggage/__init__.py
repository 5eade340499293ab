"""Live baggage tracking: generator, Kafka, Flink, ClickHouse, and the means to run and to verify them."""
