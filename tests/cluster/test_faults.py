"""Faults under steady load: each ends Healthy, with no event lost or counted twice."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from baggage.cluster.commands import CLUSTER, NAMESPACE, call, kubectl
from tests.cluster.cluster import (
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
