"""Faults under steady load: each ends Healthy, with no event lost or counted twice."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from baggage.cluster.commands import CLUSTER, NAMESPACE, call, get, kubectl
from baggage.jobs.names import BAG_LATEST, JOB_NAMES
from baggage.jobs.rest import RunningJob
from tests.cluster.cluster import (
    FLINK,
    application,
    jobs,
    pods_of,
    ready_pods_of,
    verify,
    wait_for_checkpoints,
    wait_until,
    wait_until_good,
)

pytestmark = pytest.mark.timeout(2400)

#: Seconds; what README promises.
HEALED_WITHIN = 120
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


def test_a_cancelled_job_is_started_again_from_its_newest_checkpoint(components: set[str]) -> None:
    for name in JOB_NAMES:
        wait_for_checkpoints()
        before = jobs()
        lost, version = before.pop(name)
        FLINK.cancel(RunningJob(lost, name, version))
        wait_until(lambda: application("flink-jobs").health != "Healthy", "Argo CD to show it", 60)
        wait_until(lambda before=before: jobs().keys() > before.keys(), f"{name} to be back", HEALED_WITHIN)  # type: ignore[misc]
        wait_until_good(components)
        after = jobs()
        found, _ = after.pop(name)
        assert after == before, "the others were left alone"
        restored = FLINK.get(f"/jobs/{found}/checkpoints")["latest"]["restored"]
        assert f"/{lost}/chk-" in restored["external_path"]
    print(verify("verify-cancelled"))


def test_of_two_who_start_a_lost_job_flink_refuses_one(components: set[str]) -> None:
    before = jobs()
    lost, version = before.pop(BAG_LATEST)
    FLINK.cancel(RunningJob(lost, BAG_LATEST, version))
    # The deployment does it by itself; a rival does the same work at the same time.
    template = get("deployment", "flink-jobs", "-n", NAMESPACE)["spec"]["template"]
    template["metadata"]["labels"]["app.kubernetes.io/name"] = "flink-jobs-rival"
    template["spec"]["restartPolicy"] = "OnFailure"
    template["spec"]["containers"][0] |= {"args": ["python", "-m", "baggage.jobs"], "readinessProbe": None}
    rival = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "flink-jobs-rival"},
        "spec": {"template": template, "backoffLimit": 10},
    }
    kubectl("create", "-n", NAMESPACE, "-f", "-", text=json.dumps(rival))
    try:
        wait_until(lambda: get("job", "flink-jobs-rival", "-n", NAMESPACE)["status"].get("succeeded"), "the rival")
    finally:
        kubectl("delete", "job", "flink-jobs-rival", "-n", NAMESPACE)
    wait_until_good(components)
    after = jobs()
    after.pop(BAG_LATEST)
    assert after == before
