"""A push is the deployment: it changes what it should, nothing else, and what is wrong hurts nothing."""

from __future__ import annotations

import re

from baggage.cluster.commands import NAMESPACE, exists, get, kubectl
from baggage.jobs.itinerary_status import STATE_VERSION
from baggage.jobs.names import ITINERARY_STATUS
from baggage.provision.schema import migrations
from tests.cluster.cluster import (
    FLINK,
    Clone,
    application,
    clickhouse,
    jobs,
    pods,
    pods_of,
    uid_of_job,
    verify,
    wait_for_checkpoints,
    wait_until,
    wait_until_good,
)

_GENERATOR = "overlays/dev/generator/kustomization.yaml"


def test_a_changed_setting_rolls_its_deployment_and_nothing_else(clone: Clone) -> None:
    before, running = pods(), jobs()
    generator = pods_of("generator")
    clone.append(
        _GENERATOR,
        "configMapGenerator:\n  - name: generator-settings\n    namespace: baggage-poc\n    behavior: merge\n"
        "    literals: [BAGGAGE_LOG_LEVEL=WARNING]\n",
    )
    revision = clone.push("Log less")
    wait_until_good(clone.components(), revision)
    wait_until(lambda: pods_of("generator") and not pods_of("generator").keys() & generator.keys(), "a new generator")
    unchanged = {name: uid for name, uid in before.items() if name not in generator}
    assert unchanged.items() <= pods().items()
    assert jobs() == running


def test_a_changed_dashboard_appears_in_grafana(clone: Clone) -> None:
    shown = "/etc/grafana/dashboards"

    def titles() -> dict[str, str]:
        show = ("sh", "-c", f"grep -H '^  .title.:' {shown}/*.json")
        read = kubectl("exec", "-n", NAMESPACE, "statefulset/grafana", "--", *show)
        return dict(re.findall(r"dashboards/([a-z-]+)\.json:  .title.: .(.*).,", read))

    names = {path.stem for path in (clone.folder / "base/grafana/dashboards").iterdir()}
    before, running, others = titles(), jobs(), {n: uid for n, uid in pods().items() if not n.startswith("grafana-")}
    assert before.keys() == names
    clone.edit("base/grafana/dashboards/flight-ops-overview.json", '"title": "Flight Ops Overview"', '"title": "New"')
    revision = clone.push("Change a dashboard")
    wait_until_good(clone.components(), revision)
    wait_until(lambda: titles() == before | {"flight-ops-overview": "New"}, "Grafana with the new dashboard")
    assert others.items() <= pods().items()
    assert jobs() == running


def test_a_new_migration_is_applied(clone: Clone) -> None:
    before, number = uid_of_job("clickhouse-schema"), len(migrations()) + 1
    table = "CREATE TABLE IF NOT EXISTS {database}.cluster_test (x UInt8) ENGINE = MergeTree ORDER BY x"
    clone.append(f"apps/baggage/provision/migrations/{number:04d}_cluster_test.sql", f"{table};\n")
    clone.commit("Add a table")
    clone.deploy()
    assert uid_of_job("clickhouse-schema") != before
    with clickhouse("owner") as client:
        assert client.command("EXISTS TABLE cluster_test") == 1
        assert client.command(f"SELECT count() FROM schema_migrations WHERE number = {number}") == 1
        client.command("DROP TABLE cluster_test")
        client.command(f"DELETE FROM schema_migrations WHERE number = {number}")


def test_changed_job_code_upgrades_the_jobs_through_savepoints(clone: Clone) -> None:
    before = jobs()
    wait_for_checkpoints()
    clone.append("apps/baggage/jobs/bag_latest.py", "\n# A new version.\n")
    clone.commit("Change a job")
    clone.deploy()
    after = jobs()
    assert after.keys() == before.keys()
    for name, (job_id, version) in after.items():
        assert version != before[name][1]
        restored = FLINK.get(f"/jobs/{job_id}/checkpoints")["latest"]["restored"]
        assert restored["is_savepoint"], f"{name} went on from {restored['external_path']}"
        assert f"/{name}/state-{version.rpartition('-')[2]}/savepoint-" in restored["external_path"]
    codes = {manager.partition("-")[0] for manager in FLINK.task_managers()}
    assert codes == {version.partition("-")[0] for _, version in after.values()}
    print(verify("verify-upgrade"))


def test_a_job_with_another_layout_of_its_state_starts_afresh_from_the_topics(clone: Clone) -> None:
    wait_for_checkpoints()
    file = "apps/baggage/jobs/itinerary_status.py"
    clone.edit(file, f"STATE_VERSION = {STATE_VERSION}", f"STATE_VERSION = {STATE_VERSION + 1}")
    clone.commit("Change the layout of a job's state")
    clone.deploy()
    restored = {
        name: FLINK.get(f"/jobs/{job_id}/checkpoints")["latest"]["restored"] for name, (job_id, _) in jobs().items()
    }
    assert restored.pop(ITINERARY_STATUS) is None, "the topics hold all it needs"
    assert all(snapshot["is_savepoint"] for snapshot in restored.values()), "the others go on"
    print(verify("verify-layout"))


def test_a_manual_change_is_healed(clone: Clone) -> None:
    def theme() -> object:
        container = get("statefulset", "grafana", "-n", NAMESPACE)["spec"]["template"]["spec"]["containers"][0]
        return {each["name"]: each.get("value") for each in container["env"]}["GF_USERS_DEFAULT_THEME"]

    assert theme() == "dark"
    kubectl("set", "env", "statefulset/grafana", "-n", NAMESPACE, "GF_USERS_DEFAULT_THEME=light")
    wait_until(lambda: theme() == "dark", "Argo CD to set it back")
    wait_until_good(clone.components())


def test_a_deleted_component_is_pruned(clone: Clone) -> None:
    clone.git("rm", "-r", "--quiet", "overlays/dev/grafana")
    revision = clone.push("Do without Grafana")
    wait_until(lambda: not exists("statefulset", "grafana", "-n", NAMESPACE), "the end of Grafana")
    wait_until(lambda: not exists("service", "grafana", "-n", NAMESPACE), "the end of its Service")
    wait_until_good(clone.components(), revision)
    clone.restore()
    assert exists("statefulset", "grafana", "-n", NAMESPACE)


def test_a_bad_commit_shows_as_failed_hurts_nothing_and_a_revert_heals_it(clone: Clone) -> None:
    before, running = pods(), jobs()
    clone.edit("overlays/dev/grafana/node-port.yaml", "nodePort: 30300", "nodePort: 99")
    clone.push("Ask for a port that cannot be had")

    def failure() -> str | None:
        grafana = application("grafana")
        return grafana.message if grafana.sync == "OutOfSync" and "nodePort" in grafana.message else None

    message = wait_until(failure, "Argo CD to say that it failed")
    assert re.search("Invalid value: 99", message), message
    assert pods() == before
    assert jobs() == running
    clone.git("revert", "--no-edit", "HEAD")
    clone.git("push", "--quiet", "dev", "HEAD:main")
    wait_until_good(clone.components(), clone.head())
    assert pods() == before
