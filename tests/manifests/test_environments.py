"""What holds for an environment as a whole, and what makes each another."""

from __future__ import annotations

import itertools
import re
from pathlib import PurePath
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from baggage.cluster import argocd, git, images, secrets
from baggage.cluster.status import ARGOCD_URL, FLINK_URL, GRAFANA_URL
from baggage.settings import Settings
from tests.manifests.manifests import (
    ENVIRONMENTS,
    REPOSITORY,
    Manifest,
    build,
    components,
    containers,
    environment,
    find,
    pod_template,
    variables,
)

every_environment = pytest.mark.parametrize("name", ENVIRONMENTS)


def names(manifests: list[Manifest], kind: str) -> set[str]:
    """The names of all objects of a kind."""
    return {each["metadata"]["name"] for each in manifests if each["kind"] == kind}


def secrets_of(manifests: list[Manifest]) -> dict[str, set[str]]:
    """The Secrets that are made where this is deployed, with their keys."""
    external = [each for each in manifests if each["kind"] == "ExternalSecret"]
    certificates = {
        each["spec"]["secretName"]: {"tls-combined.pem"} for each in manifests if each["kind"] == "Certificate"
    }
    if not external:
        return {name: set(keys) for name, keys in secrets.PASSWORDS.items()}
    return certificates | {
        each["spec"]["target"]["name"]: {entry["secretKey"] for entry in each["spec"]["data"]} for each in external
    }


@every_environment
def test_every_object_that_is_named_exists(name: str) -> None:
    manifests = environment(name)
    maps, accounts = names(manifests, "ConfigMap"), names(manifests, "ServiceAccount")
    known_secrets = secrets_of(manifests)
    claims = {
        f"{claim['metadata']['name']}-{each['metadata']['name']}-{number}"
        for each in manifests
        if each["kind"] == "StatefulSet"
        for claim in each["spec"].get("volumeClaimTemplates", [])
        for number in range(each["spec"]["replicas"])
    }
    for workload in manifests:
        template = pod_template(workload)
        if template is None:
            continue
        pod = template["spec"]
        assert pod["serviceAccountName"] in accounts
        mounted = {each["metadata"]["name"] for each in workload["spec"].get("volumeClaimTemplates", [])}
        for volume in pod.get("volumes", []):
            mounted.add(volume["name"])
            if "configMap" in volume:
                assert volume["configMap"]["name"] in maps
            for source in volume.get("projected", {}).get("sources", []):
                assert source["configMap"]["name"] in maps
            if "secret" in volume:
                keys = {item["key"] for item in volume["secret"]["items"]}
                assert keys <= known_secrets[volume["secret"]["secretName"]]
            if "persistentVolumeClaim" in volume:
                assert volume["persistentVolumeClaim"]["claimName"] in claims
        for container in containers(pod):
            assert {mount["name"] for mount in container.get("volumeMounts", [])} <= mounted
            for source in container.get("envFrom", []):
                assert source["configMapRef"]["name"] in maps
            for variable in container.get("env", []):
                reference = variable.get("valueFrom", {}).get("secretKeyRef")
                if reference:
                    assert reference["key"] in known_secrets[reference["name"]]
        if workload["kind"] == "StatefulSet":
            assert workload["spec"]["serviceName"] in names(manifests, "Service")
    for each in manifests:
        if each["kind"] == "HTTPRoute":
            for rule in each["spec"]["rules"]:
                for backend in rule["backendRefs"]:
                    service = find(manifests, "Service", backend["name"])
                    assert backend["port"] in {port["port"] for port in service["spec"]["ports"]}
        if each["kind"] == "SecurityPolicy":
            for target in each["spec"]["targetRefs"]:
                assert find(manifests, target["kind"], target["name"])["apiVersion"].startswith(target["group"])
            assert "client-secret" in known_secrets[each["spec"]["oidc"]["clientSecret"]["name"]]
        if each["kind"] == "RoleBinding":
            assert each["roleRef"]["name"] in names(manifests, "Role")
            assert {subject["name"] for subject in each["subjects"]} <= accounts


@every_environment
def test_no_object_belongs_to_two_applications(name: str) -> None:
    found = [
        (each["kind"], each["metadata"]["name"])
        for component in components(name)
        for each in build(f"overlays/{name}/{component}")
    ]
    assert len(found) == len(set(found))


@every_environment
def test_everything_is_in_the_one_namespace_and_allowed_by_the_project(name: str) -> None:
    project = find(build("argocd/apps"), "AppProject", "baggage")["spec"]
    (destination,) = project["destinations"]
    allowed = {(each["group"], each["kind"]) for each in project["namespaceResourceWhitelist"]}
    for manifest in environment(name):
        group, _, _ = manifest["apiVersion"].rpartition("/")
        if manifest["kind"] == "Namespace":
            assert {"group": group, "kind": "Namespace"} in project["clusterResourceWhitelist"]
            assert manifest["metadata"]["name"] == destination["namespace"]
        else:
            assert (group, manifest["kind"]) in allowed
            assert manifest["metadata"]["namespace"] == destination["namespace"]


def test_the_project_allows_no_more_than_is_used() -> None:
    project = find(build("argocd/apps"), "AppProject", "baggage")["spec"]
    used = {
        (each["apiVersion"].rpartition("/")[0], each["kind"]) for name in ENVIRONMENTS for each in environment(name)
    }
    assert {(each["group"], each["kind"]) for each in project["namespaceResourceWhitelist"]} <= used


@every_environment
def test_every_folder_is_picked_up_by_the_application_set(name: str) -> None:
    root = yaml.safe_load((REPOSITORY / "argocd/root.yaml").read_text().replace("ENVIRONMENT", name))
    patches: list[dict[str, Any]] = [
        entry for patch in root["spec"]["source"]["kustomize"]["patches"] for entry in yaml.safe_load(patch["patch"])
    ]
    (pattern,) = (each["value"] for each in patches if each["path"].endswith("directories/0/path"))
    for component in components(name):
        assert PurePath(f"overlays/{name}/{component}").match(pattern)
        assert build(f"overlays/{name}/{component}")


def test_the_root_application_fills_every_blank_of_what_it_deploys() -> None:
    blanks = ("REPO_URL", "REVISION", "ENVIRONMENT")
    root = yaml.safe_load((REPOSITORY / "argocd/root.yaml").read_text())
    patched = "".join(patch["patch"] for patch in root["spec"]["source"]["kustomize"]["patches"])
    deployed = yaml.safe_dump_all(build("argocd/apps"))
    for blank in blanks:
        assert patched.count(blank) == deployed.count(blank)
    assert root["spec"]["source"]["path"] == "argocd/apps"


def test_all_services_are_watched_by_bounded_automatic_sync() -> None:
    spec = find(build("argocd/apps"), "ApplicationSet", "baggage")["spec"]["template"]["spec"]
    policy = spec["syncPolicy"]
    assert policy["automated"] == {"prune": True, "selfHeal": True}
    assert 0 < policy["retry"]["limit"] <= 10
    assert {"ServerSideApply=true", "PruneLast=true", "FailOnSharedResource=true", "ApplyOutOfSyncOnly=true"} == set(
        policy["syncOptions"]
    )


@every_environment
def test_no_volume_is_an_object_of_git(name: str) -> None:
    """One that is would be deleted with the component, when that is renamed, too."""
    manifests = environment(name)
    assert not names(manifests, "PersistentVolumeClaim")
    for each in manifests:
        if each["kind"] == "StatefulSet":
            assert "persistentVolumeClaimRetentionPolicy" not in each["spec"]


@every_environment
def test_stateful_sets_replace_pods_that_do_not_start(name: str) -> None:
    for each in environment(name):
        if each["kind"] == "StatefulSet":
            assert each["spec"]["podManagementPolicy"] == "Parallel"


@every_environment
def test_jobs_are_made_again_instead_of_changed(name: str) -> None:
    for manifest in environment(name):
        if manifest["kind"] == "Job":
            assert manifest["metadata"]["annotations"] == {"argocd.argoproj.io/sync-options": "Force=true,Replace=true"}
            assert "ttlSecondsAfterFinished" not in manifest["spec"]


def test_the_laptops_ports_are_those_of_kind() -> None:
    kind = yaml.safe_load((REPOSITORY / "argocd/kind.yaml").read_text())
    mapped = {entry["containerPort"]: entry for entry in kind["nodes"][0]["extraPortMappings"]}
    assert all(entry["listenAddress"] == "127.0.0.1" for entry in mapped.values())
    assert all(entry["hostPort"] == port for port, entry in mapped.items())
    manifests = [*environment("dev"), *build("argocd/git-server"), *build("argocd/install")]
    node_ports = {
        port["nodePort"]
        for each in manifests
        if each["kind"] == "Service"
        for port in each["spec"]["ports"]
        if "nodePort" in port
    }
    assert node_ports == mapped.keys()
    urls = (ARGOCD_URL, FLINK_URL, GRAFANA_URL, git.PUSH_URL)
    assert {int(re.findall(r":(\d+)", url)[0]) for url in urls} == mapped.keys()


@every_environment
def test_grafana_knows_its_own_address(name: str) -> None:
    manifests = environment(name)
    pod = find(manifests, "StatefulSet", "grafana")["spec"]["template"]["spec"]
    if name == "dev":
        address = GRAFANA_URL
    else:
        address = f"https://{find(manifests, 'HTTPRoute', 'grafana')['spec']['hostnames'][0]}"
    assert variables(manifests, pod)["GF_SERVER_ROOT_URL"] == f"{address}/"


def test_the_cluster_is_the_kubernetes_that_the_schemas_are_of() -> None:
    kind = yaml.safe_load((REPOSITORY / "argocd/kind.yaml").read_text())
    namespace = find(build("base/namespace"), "Namespace", "baggage-poc")
    version = namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce-version"]
    assert kind["nodes"][0]["image"].startswith(f"kindest/node:{version}.")


def test_argocd_is_pinned() -> None:
    assert argocd.VERSION in argocd.MANIFEST
    assert re.fullmatch(r"[0-9a-f]{64}", argocd.MANIFEST_SHA256)
    assert argocd.VERSION in (REPOSITORY / "argocd/install/kustomization.yaml").read_text()


def test_the_git_server_calls_the_repository_what_argocd_calls_it() -> None:
    deployment = find(build("argocd/git-server"), "Deployment", "git-server")
    assert variables([], deployment["spec"]["template"]["spec"])["REPOSITORY_URL"] == git.CLUSTER_URL
    namespace, service = git.NAMESPACE, find(build("argocd/git-server"), "Service", "git-server")
    assert f"{service['metadata']['name']}.{namespace}.svc/" in git.CLUSTER_URL


def test_every_image_of_ours_is_pinned_in_dev() -> None:
    assert images.pinned().keys() == images.SOURCES.keys()
    used = {
        container["image"]
        for each in [*environment("dev"), *build("argocd/git-server")]
        if (template := pod_template(each))
        for container in containers(template["spec"])
    }
    assert {name for name in used if name.startswith("baggage-poc/")} == {
        f"{images.repository(image)}:{tag}" for image, tag in images.pinned().items()
    }


@pytest.mark.parametrize("image", images.SOURCES)
def test_an_image_is_named_by_all_that_is_copied_into_it(image: str) -> None:
    dockerfile = (REPOSITORY / "images" / image / "Dockerfile").read_text()
    copied = {
        source.rstrip("/")
        for line in re.findall(r"^COPY (?!--from)(?:--\S+ )*(.+)$", dockerfile, re.MULTILINE)
        for source in line.split()[:-1]
    }
    ours = {source for source in copied if not source.startswith(f"images/{image}")}
    assert ours == set(images.SOURCES[image])


def test_production_has_no_generator_and_dev_has_all_but_what_needs_a_cloud() -> None:
    assert set(components("dev")) == set(components("staging")) - {"secrets", "clickhouse-backup"}
    assert set(components("production")) == set(components("staging")) - {"generator"}


def test_dev_fits_a_laptop() -> None:
    requests = [
        container["resources"]["requests"]
        for each in [*environment("dev"), *build("argocd/git-server")]
        if (template := pod_template(each))
        for container in template["spec"]["containers"]
    ]
    milli = sum(int(each["cpu"].removesuffix("m")) for each in requests)
    mebi = sum(int(each["memory"].removesuffix("Mi")) for each in requests)
    # Kubernetes itself asks for almost one CPU and 300 MiB, Argo CD takes 500 MiB, a rollout a second TaskManager.
    assert milli <= 1000
    assert mebi + 300 + 500 + 1600 <= 8 * 1024


@pytest.mark.parametrize("name", ["staging", "production"])
class TestShared:
    """What staging and production claim and dev does not."""

    def test_brokers_are_spread_over_zones(self, name: str) -> None:
        kafka = find(environment(name), "StatefulSet", "kafka")["spec"]
        (spread,) = kafka["template"]["spec"]["topologySpreadConstraints"]
        assert spread["topologyKey"] == "topology.kubernetes.io/zone"
        assert spread["whenUnsatisfiable"] == "DoNotSchedule"
        assert spread["labelSelector"]["matchLabels"].items() <= kafka["template"]["metadata"]["labels"].items()

    def test_disruptions_are_bounded(self, name: str) -> None:
        assert names(environment(name), "PodDisruptionBudget") == {"kafka", "clickhouse", "taskmanager"}

    def test_flink_keeps_its_state_on_s3(self, name: str) -> None:
        manifests = environment(name)
        assert not find(manifests, "StatefulSet", "jobmanager")["spec"].get("volumeClaimTemplates")
        bucket = f"s3://baggage-{name}-flink/"
        for kind, workload in (("StatefulSet", "jobmanager"), ("Deployment", "taskmanager")):
            arguments = find(manifests, kind, workload)["spec"]["template"]["spec"]["containers"][0]["args"]
            options = dict(option.split("=", 1) for flag, option in itertools.pairwise(arguments) if flag == "-D")
            assert options["high-availability.storageDir"].startswith(bucket)
            assert options["fs.s3a.aws.credentials.provider"].endswith("WebIdentityTokenCredentialsProvider")
        job = find(manifests, "Deployment", "flink-jobs")["spec"]["template"]["spec"]
        assert variables(manifests, job)["BAGGAGE_FLINK__STATE_DIR"].startswith(bucket)
        for account in ("flink", "flink-jobs"):
            annotations = find(manifests, "ServiceAccount", account)["metadata"]["annotations"]
            assert name in annotations["eks.amazonaws.com/role-arn"]

    def test_parallelism_fits_the_task_managers(self, name: str) -> None:
        manifests = environment(name)
        replicas = find(manifests, "Deployment", "taskmanager")["spec"]["replicas"]
        assert replicas > 1
        job = find(manifests, "Deployment", "flink-jobs")["spec"]["template"]["spec"]
        assert int(variables(manifests, job)["BAGGAGE_FLINK__PARALLELISM"]) == replicas

    def test_the_feeds_listener_has_one_name_everywhere(self, name: str) -> None:
        manifests = environment(name)
        kafka = find(manifests, "StatefulSet", "kafka")["spec"]
        advertised = variables(manifests, kafka["template"]["spec"])["KAFKA_ADVERTISED_LISTENERS"]
        domain = re.findall(r"EXTERNAL://\$\(POD_NAME\)\.(\S+):9094", advertised)[0]
        hosts = [f"kafka.{domain}", *(f"kafka-{number}.{domain}" for number in range(kafka["replicas"]))]
        assert find(manifests, "Certificate", "kafka-external")["spec"]["dnsNames"] == hosts
        services = [each for each in manifests if each["kind"] == "Service" and "external" in each["metadata"]["name"]]
        assert [
            each["metadata"]["annotations"]["external-dns.alpha.kubernetes.io/hostname"] for each in services
        ] == hosts
        for volume in kafka["template"]["spec"]["volumes"]:
            if "secret" in volume:
                assert (
                    volume["secret"]["secretName"]
                    == find(manifests, "Certificate", "kafka-external")["spec"]["secretName"]
                )

    def test_prometheus_is_led_to_ports_that_are_measured(self, name: str) -> None:
        manifests = environment(name)
        found = {}
        for each in manifests:
            template = pod_template(each)
            annotations = template["metadata"].get("annotations", {}) if template else {}
            if annotations.get("prometheus.io/scrape") == "true":
                found[each["metadata"]["name"]] = int(annotations["prometheus.io/port"])
        config = yaml.safe_load((REPOSITORY / "base/flink/config.yaml").read_text())
        flink = int(config["metrics.reporter.prom.port"])
        assert found == {"jobmanager": flink, "taskmanager": flink, "monitor": Settings().monitor.port}
        for workload, port in (("flink", flink), ("monitor", Settings().monitor.port)):
            (rule,) = find(manifests, "NetworkPolicy", f"{workload}-metrics")["spec"]["ingress"]
            assert rule["ports"] == [{"port": port}]

    def test_pages_are_behind_the_gateway_and_a_login(self, name: str) -> None:
        manifests = environment(name)
        assert names(manifests, "HTTPRoute") == {"grafana", "flink"}
        login = find(manifests, "SecurityPolicy", "flink")["spec"]
        (host,) = find(manifests, "HTTPRoute", "flink")["spec"]["hostnames"]
        assert urlsplit(login["oidc"]["redirectURL"]).hostname == host
        for page in ("grafana", "flink"):
            (parent,) = find(manifests, "HTTPRoute", page)["spec"]["parentRefs"]
            assert parent["sectionName"] == "https"
            for entry in find(manifests, "NetworkPolicy", page)["spec"]["ingress"]:
                assert entry["from"]
        assert not any(each["kind"] == "Service" and each["spec"].get("type") == "NodePort" for each in manifests)

    def test_secrets_come_by_reference(self, name: str) -> None:
        manifests = environment(name)
        assert not names(manifests, "Secret")
        as_in_dev = {secret: set(keys) for secret, keys in secrets.PASSWORDS.items()}
        assert secrets_of(manifests) == as_in_dev | {
            "grafana-smtp": {"password"},
            "kafka-feeds": {"password"},
            "flink-login": {"client-secret"},
            "kafka-external-tls": {"tls-combined.pem"},
        }

    def test_alerts_leave_by_mail_to_somebody(self, name: str) -> None:
        manifests = environment(name)
        grafana = find(manifests, "StatefulSet", "grafana")["spec"]["template"]
        given = variables(manifests, grafana["spec"])
        assert given["GF_SMTP_ENABLED"] == "true"
        assert all("@" in given[variable] for variable in ("OPERATIONS_EMAIL", "PLATFORM_EMAIL"))
        mail = find(manifests, "NetworkPolicy", "grafana-mail")["spec"]
        assert mail["podSelector"]["matchLabels"].items() <= grafana["metadata"]["labels"].items()
        ports = {port["port"] for rule in mail["egress"] for port in rule["ports"]}
        assert int(given["GF_SMTP_HOST"].rpartition(":")[2]) in ports

    def test_clickhouse_is_on_storage_with_snapshots(self, name: str) -> None:
        (claim,) = find(environment(name), "StatefulSet", "clickhouse")["spec"]["volumeClaimTemplates"]
        assert claim["spec"]["storageClassName"] == "backed-up-ssd"

    def test_images_come_from_a_registry(self, name: str) -> None:
        for each in environment(name):
            if template := pod_template(each):
                for container in containers(template["spec"]):
                    assert not container["image"].startswith("baggage-poc/")
