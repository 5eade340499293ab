"""Manifests and code agree on what both must know: addresses, ports, names, versions, options."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from baggage.local.flink_cluster import flink_configuration, java_options
from baggage.local.jars import KAFKA_BROKER
from baggage.provision.topics import DEAD_LETTER
from baggage.settings import Settings
from tests.manifests.manifests import (
    ENVIRONMENTS,
    REPOSITORY,
    Manifest,
    build,
    environment,
    find,
    pod_template,
    variables,
)

every_environment = pytest.mark.parametrize("name", ENVIRONMENTS)
DEFAULTS = Settings()


def settings_of(manifests: list[Manifest], monkeypatch: pytest.MonkeyPatch) -> dict[str, Settings]:
    """The settings of every workload of ours, as the program in it reads them."""
    found = {}
    for each in manifests:
        template = pod_template(each)
        if template is None:
            continue
        given = variables(manifests, template["spec"])
        with monkeypatch.context() as context:
            for variable, value in given.items():
                if variable.startswith("BAGGAGE_"):
                    context.setenv(variable, value)
            found[each["metadata"]["name"]] = Settings()
    return found


def ports(manifests: list[Manifest], service: str) -> set[int]:
    """The ports of a Service."""
    return {port["port"] for port in find(manifests, "Service", service)["spec"]["ports"]}


@every_environment
def test_addresses_are_those_of_the_services(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    manifests = environment(name)
    for workload, settings in settings_of(manifests, monkeypatch).items():
        given = settings.model_dump(exclude_defaults=True)
        if "bootstrap_servers" in given.get("kafka", {}):
            for server in settings.kafka.bootstrap_servers.split(","):
                host, _, port = server.partition(":")
                assert int(port) in ports(manifests, host), workload
        if "host" in given.get("clickhouse", {}):
            assert settings.clickhouse.port in ports(manifests, settings.clickhouse.host), workload
        if "rest_url" in given.get("flink", {}):
            url = urlsplit(settings.flink.rest_url)
            assert url.port in ports(manifests, str(url.hostname)), workload


@every_environment
def test_users_and_database_are_those_of_clickhouse(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    manifests = environment(name)
    (users,) = (
        each["data"]["users.xml"] for each in manifests if each["kind"] == "ConfigMap" and "users.xml" in each["data"]
    )
    for workload, settings in settings_of(manifests, monkeypatch).items():
        assert settings.clickhouse.database == DEFAULTS.clickhouse.database
        if settings.clickhouse.user != DEFAULTS.clickhouse.user:
            assert f"<{settings.clickhouse.user}>" in users, workload
    databases = set(re.findall(r"ON (\w+)\.\*", users)) - {"system"}
    assert databases == {DEFAULTS.clickhouse.database}
    (sources,) = (
        each["data"]["datasources.yaml"]
        for each in manifests
        if each["kind"] == "ConfigMap" and "datasources.yaml" in each["data"]
    )
    (source,) = yaml.safe_load(sources)["datasources"]
    assert source["jsonData"]["defaultDatabase"] == DEFAULTS.clickhouse.database
    assert f"<{source['jsonData']['username']}>" in users
    assert source["jsonData"]["port"] in ports(manifests, source["jsonData"]["host"])


@every_environment
def test_each_program_has_the_user_of_its_role(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    used = {
        workload: settings.clickhouse.user
        for workload, settings in settings_of(environment(name), monkeypatch).items()
        if settings.clickhouse.user != DEFAULTS.clickhouse.user
    }
    backup = {} if name == "dev" else {"clickhouse-backup": "baggage_owner"}
    assert used == backup | {
        "clickhouse-schema": "baggage_owner",
        "flink-jobs": "baggage_writer",
        "monitor": "baggage_writer",
        "verify": "baggage_reader",
    }


@every_environment
def test_the_broker_takes_the_largest_dead_letter(name: str) -> None:
    manifests = environment(name)
    broker = variables(manifests, find(manifests, "StatefulSet", "kafka")["spec"]["template"]["spec"])
    assert int(broker["KAFKA_MESSAGE_MAX_BYTES"]) == DEAD_LETTER.max_message_bytes


@every_environment
def test_the_replication_of_topics_fits_the_brokers(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    manifests = environment(name)
    kafka = find(manifests, "StatefulSet", "kafka")["spec"]
    broker = variables(manifests, kafka["template"]["spec"])
    topics = settings_of(manifests, monkeypatch)["topics"].kafka
    assert topics.replication_factor == (1 if name == "dev" else 3)
    assert topics.min_insync_replicas == (1 if name == "dev" else 2)
    assert kafka["replicas"] == topics.replication_factor
    voters = broker["KAFKA_CONTROLLER_QUORUM_VOTERS"].split(",")
    assert voters == [f"{n}@kafka-{n}.kafka:9093" for n in range(kafka["replicas"])]
    for variable, value in broker.items():
        if variable.endswith("_REPLICATION_FACTOR"):
            assert int(value) == topics.replication_factor, variable
        if variable.endswith(("_MIN_ISR", "MIN_INSYNC_REPLICAS")):
            assert int(value) == topics.min_insync_replicas, variable


@every_environment
def test_the_topics_are_bounded_by_the_volumes_of_the_brokers(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    manifests = environment(name)
    (claim,) = find(manifests, "StatefulSet", "kafka")["spec"]["volumeClaimTemplates"]
    size = int(claim["spec"]["resources"]["requests"]["storage"].removesuffix("Gi")) * 2**30
    assert settings_of(manifests, monkeypatch)["topics"].kafka.disk_bytes == size


def test_kafka_has_the_version_of_the_laptop_runtime() -> None:
    image = find(build("base/kafka"), "StatefulSet", "kafka")["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image == f"apache/kafka:{KAFKA_BROKER[0].rpartition(':')[2]}"


def test_flink_has_the_options_of_the_laptop_runtime() -> None:
    cluster = yaml.safe_load((REPOSITORY / "base/flink/config.yaml").read_text())
    laptop = flink_configuration(8081, Path("/tmp")) | {"env.java.opts.all": java_options()}  # noqa: S108
    # What differs by nature: addresses, and where Python is.
    own = re.compile(r"(jobmanager|taskmanager)\.(bind-)?host|.*address|.*\.port|python\.(pythonpath|.*executable)")
    assert {key: value for key, value in cluster.items() if key in laptop and not own.fullmatch(key)} == {
        key: value for key, value in laptop.items() if not own.fullmatch(key)
    }


@pytest.mark.parametrize("image", ["baggage", "flink"])
def test_the_lock_of_an_image_is_part_of_the_one_lock(image: str) -> None:
    def packages(path: str) -> set[str]:
        return set(re.findall(r"^(\S+==\S+)", (REPOSITORY / path).read_text(), re.MULTILINE))

    own = packages(f"images/{image}/requirements.lock")
    assert own
    assert own <= packages("requirements.lock")
