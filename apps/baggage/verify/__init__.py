"""Recomputes every output from the topics with the domain alone, and compares it with ClickHouse."""
