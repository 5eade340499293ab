"""What an operator does, and what goes wrong at it: nothing is lost, and the pipeline goes on by itself."""

from __future__ import annotations

import json
import secrets
import threading
from contextlib import suppress

import pytest

from baggage.cluster.commands import CLUSTER, NAMESPACE, call, get, kubectl
from baggage.cluster.images import PINS, pinned
from baggage.cluster.status import findings
from baggage.jobs.names import JOB_NAMES
from baggage.provision.topics import TRUTH
from tests.cluster.cluster import (
    FLINK,
    Clone,
    clickhouse,
    jobs,
    pods_of,
    verify,
    wait_for_checkpoints,
    wait_until,
    wait_until_good,
)

pytestmark = pytest.mark.timeout(2400)

_SMALL_DISK = 2**28


def claims() -> dict[str, str]:
    """The uid of each volume claim."""
    items = get("persistentvolumeclaims", "-n", NAMESPACE)["items"]
    return {item["metadata"]["name"]: item["metadata"]["uid"] for item in items}


def restarts(prefix: str) -> int:
    """How often the kubelet has restarted the containers of one workload."""
    return sum(
        status["restartCount"]
        for pod in get("pods", "-n", NAMESPACE)["items"]
        if pod["metadata"]["name"].startswith(f"{prefix}-")
        for status in pod["status"].get("containerStatuses", [])
    )


@pytest.mark.parametrize("component", ["flink", "kafka", "clickhouse"])
def test_a_renamed_component_comes_up_with_its_old_data_there_and_back(clone: Clone, component: str) -> None:
    wait_for_checkpoints()
    before, volumes, restarted = jobs(), claims(), restarts("taskmanager")
    for old, new in ((component, f"{component}-renamed"), (f"{component}-renamed", component)):
        clone.git("mv", f"overlays/dev/{old}", f"overlays/dev/{new}")
        revision = clone.push(f"Rename {old} to {new}")
        wait_until_good(clone.components(), revision, 900)
        assert claims() == volumes
        wait_until(lambda: jobs() == before, "the same jobs, of the same ids")
    # After a few times the kubelet would wait for minutes.
    assert restarts("taskmanager") <= restarted
    wait_for_checkpoints()
    print(verify(f"verify-renamed-{component}"))


def test_flink_with_another_volume_starts_its_jobs_from_the_topics(components: set[str]) -> None:
    """The ConfigMaps of high availability still point into the old one."""
    kubectl(
        "scale",
        "statefulset/jobmanager",
        "deployment/taskmanager",
        "deployment/flink-jobs",
        "-n",
        NAMESPACE,
        "--replicas=0",
    )
    kubectl("delete", "pvc", "state-jobmanager-0", "-n", NAMESPACE, "--wait=false")
    wait_until_good(components, seconds=900)
    wait_for_checkpoints()
    print(verify("verify-new-volume"))


def test_rotated_passwords_reach_everybody(components: set[str]) -> None:
    before = jobs()
    passwords = {user: secrets.token_hex(16) for user in ("owner", "writer", "reader")}
    kubectl("patch", "secret", "clickhouse-passwords", "-n", NAMESPACE, "-p", json.dumps({"stringData": passwords}))
    kubectl(
        *("patch", "secret", "grafana-admin", "-n", NAMESPACE),
        *("-p", json.dumps({"stringData": {"password": secrets.token_hex(16)}})),
    )

    def all_use_it() -> bool:
        after = jobs()
        return after.keys() == before.keys() and all(after[name][1] != before[name][1] for name in before)

    wait_until(all_use_it, "jobs with the new password", 900)
    wait_until_good(components)
    for user in passwords:
        with clickhouse(user) as client:
            assert client.command("SELECT 1") == 1
    grafana = kubectl("exec", "-n", NAMESPACE, "statefulset/grafana", "--", "printenv", "CLICKHOUSE_READER_PASSWORD")
    assert grafana.strip() == passwords["reader"]
    # The disk is that of the machine that runs the tests.
    wait_until(
        lambda: all(finding.startswith("the disk of ") for finding in findings()),
        "the monitor to find nothing wrong",
        900,
    )
    print(verify("verify-rotated"))


def test_what_grafana_stores_survives_a_pushed_dashboard_and_a_lost_pod(clone: Clone) -> None:
    where = ("exec", "-n", NAMESPACE, "statefulset/grafana", "--")
    mark, before = "/var/lib/grafana/cluster-test", pods_of("grafana")
    kubectl(*where, "sh", "-c", f"echo kept > {mark}")
    clone.edit("base/grafana/dashboards/flight-ops-overview.json", '"title": "Flight Ops Overview"', '"title": "New"')
    wait_until_good(clone.components(), clone.push("Change a dashboard"))
    assert pods_of("grafana") != before
    assert kubectl(*where, "cat", mark).strip() == "kept"
    kubectl("delete", "pod", "grafana-0", "-n", NAMESPACE, "--grace-period=0", "--force")
    wait_until_good(clone.components())
    assert kubectl(*where, "cat", mark).strip() == "kept"
    kubectl(*where, "rm", mark)


def test_an_image_that_cannot_be_had_stops_no_job_and_a_revert_heals_it(clone: Clone) -> None:
    running = jobs()
    clone.edit(str(PINS), pinned()["baggage"], "000000000000")
    clone.push("Run an image that is not there")

    def not_pulled() -> bool:
        waiting = [
            state.get("state", {}).get("waiting", {}).get("reason", "")
            for pod in get("pods", "-n", NAMESPACE)["items"]
            for state in pod["status"].get("initContainerStatuses", []) + pod["status"].get("containerStatuses", [])
        ]
        return any(reason in ("ImagePullBackOff", "ErrImagePull") for reason in waiting)

    wait_until(not_pulled, "a pod whose image is not there")
    assert FLINK.running_jobs() == len(JOB_NAMES)
    clone.git("revert", "--no-edit", "HEAD")
    clone.git("push", "--quiet", "dev", "HEAD:main")
    wait_until_good(clone.components(), clone.head())
    assert jobs() == running


def test_a_topic_is_bounded_by_the_disk(clone: Clone) -> None:
    clone.append(
        "overlays/dev/topics/kustomization.yaml",
        "configMapGenerator:\n  - name: topics-settings\n    namespace: baggage-poc\n    behavior: merge\n"
        f"    literals: [BAGGAGE_KAFKA__DISK_BYTES={_SMALL_DISK}]\n",
    )
    wait_until_good(clone.components(), clone.push("Say that the disk is small"))
    bound = TRUTH.disk_share * _SMALL_DISK if TRUTH.disk_share else 0
    flood = (
        "from confluent_kafka import Producer; p = Producer({'bootstrap.servers': 'kafka:9092'})\n"
        f"for n in range(100_000): p.produce('{TRUTH.name}', bytes(1000)); p.poll(0) if n % 1000 else p.flush()\n"
        "p.flush()"
    )
    kubectl("exec", "-n", NAMESPACE, "deployment/generator", "--", "python", "-c", flood)

    def size() -> float:
        query = "SELECT argMax(value, ts) FROM pipeline_health WHERE measure = 'topic_bytes' AND labels['topic'] = '{}'"
        with clickhouse() as client:
            return float(client.query(query.format(TRUTH.name)).result_rows[0][0])

    wait_until(lambda: size() > bound, "the flood to be measured", 60)
    wait_until(lambda: size() <= bound, "Kafka to delete what is above the bound", 900)


def test_a_node_that_restarts_during_an_upgrade_ends_with_the_new_version(clone: Clone) -> None:
    before = jobs()
    wait_for_checkpoints()
    clone.append("apps/baggage/jobs/bag_latest.py", "\n# A new version.\n")
    clone.commit("Change a job")

    def deploy() -> None:
        # It fails when the API server goes away; the push comes before that.
        with suppress(AssertionError):
            clone.deploy()

    deployment = threading.Thread(target=deploy, daemon=True)
    deployment.start()
    wait_until(
        lambda: any(before[name] != job for name, job in jobs().items()) or len(jobs()) < len(before), "the upgrade"
    )
    call("docker", "restart", f"{CLUSTER}-control-plane")
    deployment.join(1200)
    wait_until_good(clone.components(), clone.head(), 900)
    after = jobs()
    assert all(after[name][1] != before[name][1] for name in JOB_NAMES)
    print(verify("verify-node-upgrade"))
