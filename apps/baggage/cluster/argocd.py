"""Argo CD: installed at a pinned version, given the root Application, and watched."""

from __future__ import annotations

import hashlib
import json
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass

from baggage.cluster.commands import REPOSITORY, ClusterError, exists, get, kubectl

NAMESPACE = "argocd"
VERSION = "v3.2.11"
#: Where install.yaml is; ARGOCD_MANIFEST names another place, a file:// address, too.
MANIFEST = f"https://raw.githubusercontent.com/argoproj/argo-cd/{VERSION}/manifests/install.yaml"
MANIFEST_SHA256 = "6cdd269e07f27b50f9e481cc7e685443b26b79372001ff7868ff1543610417bd"

_WORKLOADS = (
    "deployment/argocd-applicationset-controller",
    "deployment/argocd-redis",
    "deployment/argocd-repo-server",
    "deployment/argocd-server",
    "statefulset/argocd-application-controller",
)
# Single sign-on and messages, which a laptop has no use for.
_UNUSED = ("deployment/argocd-dex-server", "deployment/argocd-notifications-controller")
_READ_AT_START = tuple(name for name in _WORKLOADS if "redis" not in name)


@dataclass(frozen=True)
class Application:
    """An Application as Argo CD sees it."""

    name: str
    sync: str
    health: str
    revision: str
    message: str

    @property
    def good(self) -> bool:
        """Whether it is Synced and Healthy."""
        return (self.sync, self.health) == ("Synced", "Healthy")


def manifest(address: str) -> str:
    """Fetch install.yaml. Raises ClusterError where it cannot be had, or is not the pinned one."""
    try:
        with urllib.request.urlopen(address, timeout=60) as response:  # noqa: S310 (the user's own choice)
            content: bytes = response.read()
    except OSError as error:
        raise ClusterError(
            f"cannot fetch Argo CD's install.yaml from {address}: {error}; name another place: "
            "make up ARGOCD_MANIFEST=file:///…"
        ) from error
    if hashlib.sha256(content).hexdigest() != MANIFEST_SHA256:
        raise ClusterError(f"{address} is not the install.yaml of Argo CD {VERSION}: its SHA-256 is another")
    return content.decode()


def install(content: str) -> None:
    """Apply our settings and install.yaml, and wait until all of it is available."""
    if not exists("namespace", NAMESPACE):
        kubectl("create", "namespace", NAMESPACE)
    # A field manager of its own: install.yaml, applied again, takes nothing of it back.
    kubectl("apply", "--server-side", "--force-conflicts", "--field-manager=baggage", "-k", "argocd/install")
    kubectl("apply", "--server-side", "--force-conflicts", "-n", NAMESPACE, "-f", "-", text=content)
    kubectl("scale", "-n", NAMESPACE, "--replicas=0", *_UNUSED)
    # They read their settings when they start, so other settings are another pod.
    settings = hashlib.sha256((REPOSITORY / "argocd" / "install" / "settings.yaml").read_bytes()).hexdigest()[:12]
    note = json.dumps({"spec": {"template": {"metadata": {"annotations": {"baggage/settings": settings}}}}})
    for workload in _READ_AT_START:
        kubectl("patch", workload, "-n", NAMESPACE, "--type=strategic", "-p", note)
    for workload in _WORKLOADS:
        kubectl("rollout", "status", workload, "-n", NAMESPACE, "--timeout=300s")


def apply_root(repo_url: str, revision: str, environment: str) -> None:
    """Apply the root Application, which brings all others."""
    text = (REPOSITORY / "argocd" / "root.yaml").read_text()
    for name, value in (("REPO_URL", repo_url), ("REVISION", revision), ("ENVIRONMENT", environment)):
        text = text.replace(name, value)
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", text=text)


def applications() -> list[Application]:
    """All Applications, by name."""
    found = []
    for item in get("applications.argoproj.io", "-n", NAMESPACE)["items"]:
        status = item.get("status", {})
        sync = status.get("sync", {})
        operation = status.get("operationState", {})
        failed = operation.get("message", "") if operation.get("phase") in ("Failed", "Error", "Running") else ""
        conditions = "; ".join(condition["message"] for condition in status.get("conditions", []))
        found.append(
            Application(
                item["metadata"]["name"],
                sync.get("status", "Unknown"),
                status.get("health", {}).get("status", "Unknown"),
                sync.get("revision", ""),
                conditions or failed,
            )
        )
    return found


def refresh() -> None:
    """Ask Argo CD to look at Git now."""
    kubectl(
        *("annotate", "applications.argoproj.io", "--all", "-n", NAMESPACE),
        *("argocd.argoproj.io/refresh=normal", "--overwrite"),
    )


def wait_until_good(
    components: set[str], revision: str | None, say: Callable[[str], None], seconds: float = 1200
) -> None:
    """Wait until the root and exactly these Applications are Synced, to a revision if one is named, and Healthy.

    Says what it waits for whenever that changes. Raises ClusterError, with what each says, after `seconds`.
    """
    expected = components | {"root"}
    deadline, said = time.monotonic() + seconds, ""
    while True:
        found = {application.name: application for application in applications()}
        waiting = dict.fromkeys(expected - found.keys(), "is not there yet")
        waiting |= dict.fromkeys(found.keys() - expected, "is still there")
        for name in expected & found.keys():
            application = found[name]
            if not application.good:
                waiting[name] = f"{application.sync}, {application.health} {application.message}".strip()
            elif revision and application.revision != revision:
                waiting[name] = f"is at {application.revision[:7]}"
        if not waiting:
            return
        if time.monotonic() > deadline:
            details = "; ".join(f"{name} {reason}" for name, reason in sorted(waiting.items()))
            raise ClusterError(f"after {seconds:.0f} s not all is Synced and Healthy: {details}"[:2000])
        summary = f"{len(expected) - len(waiting.keys() & expected)} of {len(expected)} Applications Synced and Healthy"
        if summary != said:
            say(f"{summary}; waiting for {', '.join(sorted(waiting))}")
            said = summary
        time.sleep(2)
