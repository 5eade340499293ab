"""The laptop runtime: a real Kafka broker, Flink cluster and ClickHouse engine, without Docker, Maven or Java."""
