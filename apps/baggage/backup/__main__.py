"""`python -m baggage.backup create|restore NAME`: back ClickHouse up to S3, or restore a backup."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime

from clickhouse_connect.driver.exceptions import ClickHouseError

from baggage.backup.s3 import BackupError, create, restore
from baggage.provision.schema import SchemaError
from baggage.settings import read_settings


def main() -> None:
    """Do what the arguments say; what is wrong is one line and exit code 1."""
    parser = argparse.ArgumentParser(prog="python -m baggage.backup", description=__doc__)
    what = parser.add_subparsers(dest="what", required=True)
    what.add_parser("create", help="make a backup and print its name")
    restoring = what.add_parser("restore", help="restore a backup")
    restoring.add_argument("name", help="as create printed it")
    restoring.add_argument("--replace", action="store_true", help="drop what the database holds")
    arguments = parser.parse_args()
    settings = read_settings()
    try:
        if arguments.what == "create":
            sys.stdout.write(f"{create(settings, datetime.now(UTC))}\n")
        else:
            sys.stdout.write(f"{restore(settings, arguments.name, replace=arguments.replace)} tables are restored\n")
    except (BackupError, ClickHouseError, SchemaError) as error:
        sys.exit(f"error: {str(error).splitlines()[0]}")


if __name__ == "__main__":
    main()
