"""What must exist before data flows: the topics of Kafka and the schema of ClickHouse."""
