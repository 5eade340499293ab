"""Faults under steady load: each ends Healthy, with no event lost or counted twice."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from baggage.cluster.commands import CLUSTER, NAMESPACE, call, get, kubectl
from baggage.jobs.names import BAG_LATEST
from baggage.jobs.rest import RunningJob
from tests.cluster.cluster import (
    FLINK,
    jobs,
    pods_of,
    ready_pods_of,
    verify,
    wait_for_checkpoints,
    wait_until,
    wait_until_good,
)

#: How long ClickHouse is away; the fault, not a wait for something.
_AWAY = 60


def kill(workload: str) -> None:
    """End the pod of a workload without grace, and wait until there is another that is ready."""
    before = pods_of(workload)
    assert before
    kubectl("delete", "pod", *before, "-n", NAMESPACE, "--grace-period=0", "--force", "--wait=false")
    _wait_for_another(workload, before)


def _wait_for_another(workload: str, before: dict[str, str]) -> None:
    wait_until(lambda: set(ready_pods_of(workload).values()) - set(before.values()), f"another {workload}")


def clickhouse_is_away() -> None:
    """End ClickHouse's pod and let no other be scheduled for a minute."""
    before, node = pods_of("clickhouse"), f"{CLUSTER}-control-plane"
    kubectl("cordon", node)
    try:
        kubectl("delete", "pod", *before, "-n", NAMESPACE, "--grace-period=0", "--force", "--wait=false")
        time.sleep(_AWAY)
    finally:
        kubectl("uncordon", node)
    _wait_for_another("clickhouse", before)


def the_node_restarts() -> None:
    """Restart the machine that everything runs on."""
    call("docker", "restart", f"{CLUSTER}-control-plane")


FAULTS: dict[str, Callable[[], None]] = {
    "broker": lambda: kill("kafka"),
    "taskmanager": lambda: kill("taskmanager"),
    "jobmanager": lambda: kill("jobmanager"),
    "clickhouse": clickhouse_is_away,
    "generator": lambda: kill("generator"),
    "node": the_node_restarts,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_is_lost(fault: str, components: set[str]) -> None:
    before = jobs()
    FAULTS[fault]()
    wait_until_good(components)
    wait_until(lambda: jobs() == before, "the same jobs, of the same ids")
    wait_for_checkpoints()
    print(verify(f"verify-{fault}"))


def test_a_lost_job_goes_on_from_its_newest_checkpoint_and_is_never_there_twice(components: set[str]) -> None:
    wait_for_checkpoints()
    before = jobs()
    lost, version = before[BAG_LATEST]
    FLINK.cancel(RunningJob(lost, BAG_LATEST, version))
    # Argo CD makes the deleted Job again; a rival does the same work at the same time.
    template = get("job", "flink-jobs", "-n", NAMESPACE)["spec"]["template"]
    for label in [each for each in template["metadata"]["labels"] if each.endswith(("controller-uid", "job-name"))]:
        del template["metadata"]["labels"][label]
    rival = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "flink-jobs-rival"},
        "spec": {"template": template, "backoffLimit": 10},
    }
    kubectl("delete", "job", "flink-jobs", "-n", NAMESPACE)
    kubectl("create", "-n", NAMESPACE, "-f", "-", text=json.dumps(rival))
    try:
        for name in ("flink-jobs", "flink-jobs-rival"):
            wait_until(lambda name=name: get("job", name, "-n", NAMESPACE)["status"].get("succeeded"), name)  # type: ignore[misc]
    finally:
        kubectl("delete", "job", "flink-jobs-rival", "-n", NAMESPACE)
    wait_until_good(components)
    after = jobs()
    found, _ = after.pop(BAG_LATEST)
    del before[BAG_LATEST]
    assert after == before
    restored = FLINK.get(f"/jobs/{found}/checkpoints")["latest"]["restored"]
    assert f"/{lost}/chk-" in restored["external_path"]
    print(verify("verify-lost-job"))
