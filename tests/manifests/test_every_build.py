"""What holds for every kustomization: it builds, is valid, and meets our standards."""

from __future__ import annotations

import copy

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.manifests import custom_resources
from tests.manifests.manifests import (
    REPOSITORY,
    Manifest,
    build,
    containers,
    environment,
    kustomizations,
    pod_template,
)

KUBERNETES = "1.32"
# Argo CD checks its own kinds, before anything else.
_ARGO_CD = "argoproj.io/"
_SERVERS = ("Deployment", "StatefulSet")

every_build = pytest.mark.parametrize("folder", kustomizations())


def workloads(folder: str) -> list[tuple[Manifest, Manifest]]:
    """Each workload with its pod template."""
    return [(each, template) for each in build(folder) if (template := pod_template(each))]


@every_build
def test_it_is_not_empty(folder: str) -> None:
    assert build(folder)


@every_build
def test_it_is_valid(folder: str) -> None:
    for manifest in build(folder):
        if manifest["apiVersion"].partition("/")[0] in custom_resources.DEFINITIONS:
            custom_resources.validate(manifest)
        elif not manifest["apiVersion"].startswith(_ARGO_CD):
            kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("HTTPRoute", ("rules", 0, "backendRefs", 0, "port"), 0),
        ("HTTPRoute", ("hostname",), "flink.example.com"),
        ("SecurityPolicy", ("oidc", "clientID"), None),
        ("Certificate", ("issuerRef", "names"), "x"),
        ("ExternalSecret", ("target", "creationPolicy"), "Sometimes"),
    ],
)
def test_the_schemas_of_operators_refuse_what_these_would(
    kind: str, path: tuple[str | int, ...], value: object
) -> None:
    manifest = copy.deepcopy(next(each for each in environment("staging") if each["kind"] == kind))
    custom_resources.validate(manifest)
    place = manifest["spec"]
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        custom_resources.validate(manifest)


@every_build
def test_no_object_is_there_twice(folder: str) -> None:
    names = [(each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]) for each in build(folder)]
    assert len(names) == len(set(names))


@every_build
def test_images_have_a_fixed_version(folder: str) -> None:
    for _, template in workloads(folder):
        for container in containers(template["spec"]):
            name, _, tag = container["image"].partition(":")
            # The bases leave ours open: which one runs is what makes an environment.
            ours_in_base = folder.startswith("base/") and name.startswith("baggage-poc/")
            assert tag or ours_in_base, container["image"]
            assert tag != "latest", container["image"]


@every_build
def test_containers_have_resources_and_are_restricted(folder: str) -> None:
    for workload, template in workloads(folder):
        pod = template["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["enableServiceLinks"] is False
        assert not any(pod.get(each) for each in ("hostNetwork", "hostPID", "hostIPC"))
        assert not any("hostPath" in volume for volume in pod.get("volumes", []))
        for container in containers(pod):
            where = f"{workload['metadata']['name']}/{container['name']}"
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False, where
            assert context["readOnlyRootFilesystem"] is True, where
            assert context["capabilities"] == {"drop": ["ALL"]}, where
            resources = container["resources"]
            assert resources["requests"].keys() >= {"cpu", "memory"}, where
            assert "memory" in resources["limits"], where


@every_build
def test_what_serves_has_probes(folder: str) -> None:
    for workload, template in workloads(folder):
        for container in template["spec"]["containers"]:
            if workload["kind"] in _SERVERS and container.get("ports"):
                where = f"{workload['metadata']['name']}/{container['name']}"
                assert {"readinessProbe", "livenessProbe"} <= container.keys(), where
                alive = container["livenessProbe"]
                # What is only slow is not dead; an exec asks for the port, and whether a Secret has changed.
                assert "tcpSocket" in alive or "secrets" in alive["exec"]["command"][-1], where
                assert alive["periodSeconds"] * alive["failureThreshold"] >= 120, where


@every_build
def test_only_flink_has_a_token(folder: str) -> None:
    for workload, template in workloads(folder):
        automount = template["spec"]["automountServiceAccountToken"]
        assert automount is (workload["metadata"]["name"] in ("jobmanager", "taskmanager"))
        assert template["spec"]["serviceAccountName"] != "default"


@every_build
def test_selectors_find_their_pods_and_no_others(folder: str) -> None:
    manifests = build(folder)
    labels = {each["metadata"]["name"]: template["metadata"]["labels"] for each, template in workloads(folder)}
    for manifest in manifests:
        spec = manifest.get("spec", {})
        if manifest["kind"] in _SERVERS:
            selector = spec["selector"]["matchLabels"]
            matching = [name for name, found in labels.items() if selector.items() <= found.items()]
            assert matching == [manifest["metadata"]["name"]]
        elif manifest["kind"] in ("Service", "PodDisruptionBudget"):
            selector = spec["selector"] if manifest["kind"] == "Service" else spec["selector"]["matchLabels"]
            # The one label that Kubernetes gives to each pod of a StatefulSet.
            selector = {name: value for name, value in selector.items() if name != "apps.kubernetes.io/pod-index"}
            matching = [name for name, found in labels.items() if selector.items() <= found.items()]
            assert len(matching) == 1 or folder == "argocd/install", f"{manifest['metadata']['name']}: {matching}"


@every_build
def test_service_ports_are_ports_of_the_pods(folder: str) -> None:
    named = {
        port["name"]: port["containerPort"]
        for _, template in workloads(folder)
        for container in template["spec"]["containers"]
        for port in container.get("ports", [])
    }
    for manifest in build(folder):
        if manifest["kind"] == "Service" and folder != "argocd/install":
            for port in manifest["spec"]["ports"]:
                assert port["targetPort"] in named


@pytest.mark.parametrize("folder", kustomizations() + kustomizations("Component"))
def test_every_file_is_used(folder: str) -> None:
    text = (REPOSITORY / folder / "kustomization.yaml").read_text()
    assert yaml.safe_load(text)["kind"] in ("Kustomization", "Component")
    for file in (REPOSITORY / folder).iterdir():
        if file.is_file() and file.name not in ("kustomization.yaml", "README.md"):
            assert file.name in text, f"{file} is not in its kustomization.yaml"
