"""Backups of ClickHouse on S3, made and restored by the server itself."""
