"""Every kustomization of the repository, built."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).parents[2]
ENVIRONMENTS = ("dev", "staging", "production")

Manifest = dict[str, Any]


def kustomizations(kind: str = "Kustomization") -> list[str]:
    """The folders with a kustomization.yaml of a kind, relative to the repository."""
    return [
        str(file.parent.relative_to(REPOSITORY))
        for top in ("argocd", "base", "overlays")
        for file in sorted((REPOSITORY / top).rglob("kustomization.yaml"))
        if yaml.safe_load(file.read_text())["kind"] == kind
    ]


@cache
def build(folder: str) -> list[Manifest]:
    """What kustomize makes of a folder."""
    done = subprocess.run(
        [os.environ.get("KUSTOMIZE", "kustomize"), "build", folder],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr, f"{folder}: {done.stderr}"
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def components(environment: str) -> list[str]:
    """The components of an environment."""
    return sorted(path.name for path in (REPOSITORY / "overlays" / environment).iterdir() if path.is_dir())


def environment(name: str) -> list[Manifest]:
    """Everything that an environment deploys."""
    return [manifest for component in components(name) for manifest in build(f"overlays/{name}/{component}")]


def find(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    """The one object of a kind and name."""
    (found,) = (each for each in manifests if each["kind"] == kind and each["metadata"]["name"] == name)
    return found


def pod_template(manifest: Manifest) -> Manifest | None:
    """The pod template of a workload, None for anything else."""
    template: Manifest | None = None
    match manifest["kind"]:
        case "Deployment" | "StatefulSet" | "Job":
            template = manifest["spec"]["template"]
        case "CronJob":
            template = manifest["spec"]["jobTemplate"]["spec"]["template"]
    return template


def containers(pod: Manifest) -> Iterator[Manifest]:
    """All containers of a pod's spec, those that run before the others, too."""
    yield from pod.get("initContainers", [])
    yield from pod["containers"]


def variables(manifests: list[Manifest], pod: Manifest) -> dict[str, str]:
    """The environment of a pod's main container: literals, and what its ConfigMaps say."""
    container = pod["containers"][0]
    found: dict[str, str] = {}
    for source in container.get("envFrom", []):
        found |= find(manifests, "ConfigMap", source["configMapRef"]["name"])["data"]
    return found | {each["name"]: each["value"] for each in container.get("env", []) if "value" in each}
