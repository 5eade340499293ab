"""What the tests do to the cluster: look, wait, push, verify."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import clickhouse_connect
from clickhouse_connect.driver.client import Client

from baggage.cluster import argocd, git, secrets
from baggage.cluster.commands import CONTEXT, NAMESPACE, ClusterError, get, kubectl
from baggage.cluster.status import FLINK_URL
from baggage.jobs.names import JOB_NAMES
from baggage.jobs.rest import FlinkError, FlinkRest
from baggage.settings import Settings

T = TypeVar("T")

FLINK = FlinkRest(FLINK_URL)
DATABASE = Settings().clickhouse.database


def wait_until(condition: Callable[[], T | None], what: str, seconds: float = 300) -> T:
    """What the condition returns as soon as it is true; a server that is away for the moment is waited for."""
    deadline, problem = time.monotonic() + seconds, ""
    while time.monotonic() < deadline:
        try:
            if result := condition():
                return result
        except (ClusterError, FlinkError, OSError) as error:
            problem = str(error)
        time.sleep(1)
    raise AssertionError(f"waited {seconds:.0f} s for {what}; {problem}; {describe()}")


def describe() -> str:
    """The state of things, for the message of a test that failed."""
    try:
        pods = kubectl("get", "pods", "-n", NAMESPACE, "--no-headers")
        bad = [f"{each.name}: {each.sync} {each.health} {each.message}" for each in argocd.applications()]
    except ClusterError as error:
        return str(error)
    return "\n".join(["", *bad, pods])


def pods() -> dict[str, str]:
    """The uid of every running pod of a server or program, by name; pods of Jobs come and go."""
    return {
        pod["metadata"]["name"]: pod["metadata"]["uid"]
        for pod in get("pods", "-n", NAMESPACE)["items"]
        if pod["metadata"]["ownerReferences"][0]["kind"] != "Job" and "deletionTimestamp" not in pod["metadata"]
    }


def ready_pods_of(prefix: str) -> dict[str, str]:
    """Those of one workload that are ready."""
    return {
        pod["metadata"]["name"]: pod["metadata"]["uid"]
        for pod in get("pods", "-n", NAMESPACE)["items"]
        if pod["metadata"]["name"].startswith(f"{prefix}-")
        and any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", []))
    }


def pods_of(prefix: str) -> dict[str, str]:
    """Those of one workload."""
    return {name: uid for name, uid in pods().items() if name.startswith(f"{prefix}-")}


def uid_of_job(name: str) -> str:
    """The uid of a Kubernetes Job."""
    uid: str = get("job", name, "-n", NAMESPACE)["metadata"]["uid"]
    return uid


def application(name: str) -> argocd.Application:
    """One Application. Raises ClusterError if there is none."""
    for found in argocd.applications():
        if found.name == name:
            return found
    raise ClusterError(f"no Application {name}")


def wait_until_good(components: set[str], revision: str | None = None, seconds: float = 600) -> None:
    """Wait until all Applications are good, and the jobs run."""

    def good() -> bool:
        found = {each.name: each for each in argocd.applications()}
        return found.keys() == components | {"root"} and all(
            each.good and revision in (None, each.revision) for each in found.values()
        )

    wait_until(good, "every Application to be Synced and Healthy", seconds)
    wait_until(lambda: FLINK.running_jobs() == len(JOB_NAMES), "three running jobs", seconds)


def jobs() -> dict[str, tuple[str, str]]:
    """Id and version of each live job, by name; two of one name fail the test."""
    live = list(FLINK.live_jobs())
    names = [job.name for job in live]
    assert len(names) == len(set(names)), f"two jobs of one name: {names}"
    return {job.name: (job.job_id, job.version) for job in live}


def completed_checkpoints(job_id: str) -> int:
    """How many checkpoints a job has completed since it was submitted or restored."""
    count: int = FLINK.get(f"/jobs/{job_id}/checkpoints")["counts"]["completed"]
    return count


def wait_for_checkpoints() -> None:
    """Wait until every job has completed one more checkpoint than now."""
    before = {job_id: completed_checkpoints(job_id) for job_id, _ in jobs().values()}
    for job_id, count in before.items():
        wait_until(lambda job_id=job_id, count=count: completed_checkpoints(job_id) > count, "another checkpoint")  # type: ignore[misc]


@contextmanager
def clickhouse(user: str = "reader") -> Iterator[Client]:
    """A client of the cluster's ClickHouse, through a forwarded port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    forward = subprocess.Popen(
        ["kubectl", "--context", CONTEXT, "port-forward", "-n", NAMESPACE, "svc/clickhouse", f"{port}:8123"],  # noqa: S607
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert forward.stdout
        assert "Forwarding" in forward.stdout.readline()
        with clickhouse_connect.get_client(
            host="127.0.0.1",
            port=port,
            username=f"baggage_{user}",
            password=secrets.read(NAMESPACE, "clickhouse-passwords", user),
            database=DATABASE,
            autogenerate_session_id=False,
        ) as client:
            yield client
    finally:
        forward.terminate()
        forward.wait()


def verify(name: str) -> str:
    """Run the verification in the cluster; it must find no difference. Returns its last line."""
    kubectl("delete", "job", name, "-n", NAMESPACE, "--ignore-not-found")
    kubectl("create", "job", name, "--from=cronjob/verify", "-n", NAMESPACE)

    def ended() -> str | None:
        state = get("job", name, "-n", NAMESPACE).get("status", {})
        return "ended" if state.get("succeeded") or state.get("failed") else None

    wait_until(ended, "the verification to end", 900)
    log = kubectl("logs", f"job/{name}", "-n", NAMESPACE, "--tail=25")
    assert " 0 differences" in log, log
    assert not re.search(r"^0 events", log, re.MULTILINE), log
    kubectl("delete", "job", name, "-n", NAMESPACE)
    return log.strip().splitlines()[-1]


class Clone:
    """A clone of what the cluster follows, in which a test changes something and pushes it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        _run("git", "clone", "--quiet", "--origin", git.REMOTE, git.PUSH_URL, str(folder))
        self.git("config", "user.name", "Cluster test")
        self.git("config", "user.email", "test@example.com")
        self.original = self.head()

    def git(self, *arguments: str) -> str:
        """Run git here."""
        return _run("git", "-C", str(self.folder), *arguments)

    def head(self) -> str:
        """The commit that is checked out."""
        return self.git("rev-parse", "HEAD").strip()

    def components(self) -> set[str]:
        """The components of dev, as they are here."""
        return {path.name for path in (self.folder / "overlays" / "dev").iterdir()}

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace a text that is there once."""
        file = self.folder / path
        text = file.read_text()
        assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {path}"
        file.write_text(text.replace(old, new))

    def append(self, path: str, text: str) -> None:
        """Add to the end of a file."""
        with (self.folder / path).open("a") as file:
            file.write(text)

    def commit(self, message: str) -> None:
        """Commit all changes."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def push(self, message: str) -> str:
        """Commit all changes and push; return the commit."""
        self.commit(message)
        self.git("push", "--quiet", git.REMOTE, "HEAD:main")
        return self.head()

    def deploy(self) -> str:
        """`make deploy` with the code that is here; return what it said."""
        program = [sys.executable, "-m", "baggage.cluster", "deploy"]
        return _run(*program, environment={"PYTHONPATH": str(self.folder / "apps")})

    def restore(self) -> None:
        """Bring the cluster back to the commit that it followed before, and wait for it."""
        self.git("reset", "--quiet", "--hard", self.original)
        self.git("push", "--quiet", "--force", git.REMOTE, "HEAD:main")
        argocd.refresh()
        wait_until_good(self.components(), self.original)


def _run(*command: str, environment: dict[str, str] | None = None) -> str:
    variables = {**os.environ, **(environment or {})}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr
