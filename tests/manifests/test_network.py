"""Who reaches whom, by the NetworkPolicies that are built."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.manifests.manifests import ENVIRONMENTS, Manifest, environment, find, pod_template

NAMESPACE = "baggage-poc"
#: What the settings of a program say that it uses, with the name of the server and its port.
USES = {
    "BAGGAGE_KAFKA__": ("kafka", 9092),
    "BAGGAGE_CLICKHOUSE__": ("clickhouse", 8123),
    "BAGGAGE_FLINK__REST_URL": ("flink", 8081),
}
every_environment = pytest.mark.parametrize("name", ENVIRONMENTS)
Labels = dict[str, str]


class Network:
    """The NetworkPolicies of an environment, in Kubernetes' sense: without one that selects a pod all is allowed."""

    def __init__(self, manifests: list[Manifest]) -> None:
        self._specs = [each["spec"] for each in manifests if each["kind"] == "NetworkPolicy"]

    def reaches(self, client: Labels, server: Labels, port: int) -> bool:
        """Whether a pod of the namespace may connect to another."""
        return self._allows("egress", client, server, port) and self.lets_in(client, server, port)

    def lets_in(self, client: Labels, server: Labels, port: int, namespace: str = NAMESPACE) -> bool:
        """Whether a pod takes a connection from one in a namespace."""
        return self._allows("ingress", server, client, port, namespace)

    def _allows(self, way: str, pod: Labels, other: Labels, port: int, namespace: str = NAMESPACE) -> bool:
        selecting = [
            spec
            for spec in self._specs
            if way.capitalize() in spec["policyTypes"] and _matches(spec["podSelector"], pod)
        ]
        rules = [rule for spec in selecting for rule in spec.get(way, [])]
        peers = "to" if way == "egress" else "from"
        return not selecting or any(
            _has_port(rule, port) and (peers not in rule or any(_is(peer, other, namespace) for peer in rule[peers]))
            for rule in rules
        )


def _matches(selector: Manifest, labels: Labels) -> bool:
    assert not selector.keys() - {"matchLabels"}, "a selector that this test does not know"
    wanted: Labels = selector.get("matchLabels", {})
    return wanted.items() <= labels.items()


def _has_port(rule: Manifest, port: int) -> bool:
    return "ports" not in rule or port in [each["port"] for each in rule["ports"]]


def _is(peer: dict[str, Any], labels: Labels, namespace: str) -> bool:
    """Whether a pod is a peer; one by its address is never a pod."""
    if "ipBlock" in peer:
        return False
    if "namespaceSelector" not in peer:
        return namespace == NAMESPACE and _matches(peer["podSelector"], labels)
    of_namespace = {"kubernetes.io/metadata.name": namespace}
    return _matches(peer["namespaceSelector"], of_namespace) and _matches(peer.get("podSelector", {}), labels)


def templates(manifests: list[Manifest]) -> dict[str, Manifest]:
    """The pod templates by the names of their workloads."""
    return {each["metadata"]["name"]: template for each in manifests if (template := pod_template(each))}


def labels(manifests: list[Manifest], workload: str) -> Labels:
    """The labels of a workload's pods."""
    of_pods: Labels = templates(manifests)[workload]["metadata"]["labels"]
    return of_pods


def used(manifests: list[Manifest], template: Manifest) -> Iterator[tuple[str, int]]:
    """The servers that the settings of a pod name, with their ports."""
    text = yaml.safe_dump(template) + "".join(
        yaml.safe_dump(find(manifests, "ConfigMap", source["configMapRef"]["name"])["data"])
        for container in template["spec"]["containers"]
        for source in container.get("envFrom", [])
    )
    yield from (server for variable, server in USES.items() if variable in text)


@every_environment
def test_nothing_goes_in_or_out_that_is_not_opened(name: str) -> None:
    deny = find(environment(name), "NetworkPolicy", "default-deny")["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


@every_environment
def test_pods_reach_the_servers_that_their_settings_name(name: str) -> None:
    manifests = environment(name)
    network, pods = Network(manifests), templates(manifests)
    servers = {"kafka": "kafka", "clickhouse": "clickhouse", "flink": "jobmanager"}
    seen = set()
    for workload, template in pods.items():
        for server, port in used(manifests, template):
            # What submits the jobs hands Kafka's address on.
            if (workload, server) != ("flink-jobs", "kafka"):
                reached = network.reaches(labels(manifests, workload), labels(manifests, servers[server]), port)
                assert reached, f"{workload} does not reach {server}:{port}"
                seen.add(server)
    assert seen == {"kafka", "clickhouse", "flink"}


@every_environment
@pytest.mark.parametrize(
    ("client", "server", "port"),
    [
        ("taskmanager", "kafka", 9092),
        ("taskmanager", "clickhouse", 8123),
        ("jobmanager", "kafka", 9092),
        ("taskmanager", "jobmanager", 6123),
        ("jobmanager", "taskmanager", 6122),
        ("flink-jobs", "jobmanager", 8081),
        ("flink-jobs", "clickhouse", 8123),
        ("grafana", "clickhouse", 8123),
        ("kafka", "kafka", 9092),
        ("kafka", "kafka", 9093),
    ],
)
def test_what_must_talk_to_each_other_can(name: str, client: str, server: str, port: int) -> None:
    manifests = environment(name)
    assert Network(manifests).reaches(labels(manifests, client), labels(manifests, server), port)


@every_environment
@pytest.mark.parametrize(
    ("client", "server", "port"),
    [
        ("grafana", "kafka", 9092),
        ("generator", "clickhouse", 8123),
        ("monitor", "kafka", 9093),
        ("topics", "clickhouse", 8123),
        ("grafana", "jobmanager", 6123),
    ],
)
def test_what_has_nothing_to_say_to_each_other_cannot(name: str, client: str, server: str, port: int) -> None:
    manifests = environment(name)
    if client not in templates(manifests):
        pytest.skip(f"{name} has no {client}")
    network = Network(manifests)
    assert not network.reaches(labels(manifests, client), labels(manifests, server), port)
    assert not network.reaches({"app": "stranger"}, labels(manifests, server), port)


@pytest.mark.parametrize("name", ["staging", "production"])
@pytest.mark.parametrize(("workload", "port"), [("monitor", 9464), ("jobmanager", 9249), ("taskmanager", 9249)])
def test_only_prometheus_reads_metrics_from_another_namespace(name: str, workload: str, port: int) -> None:
    manifests = environment(name)
    network, server = Network(manifests), labels(manifests, workload)
    assert network.lets_in({}, server, port, namespace="monitoring")
    assert not network.lets_in({}, server, port, namespace="default")
