"""Measures how Flink, Kafka and ClickHouse are doing: for a table, for Prometheus, and in words."""
