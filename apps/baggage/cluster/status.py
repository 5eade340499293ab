"""`make status` and `make open`: what runs, where it is, and how to get in."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from baggage.cluster import argocd, secrets
from baggage.cluster.commands import NAMESPACE, ClusterError, get, kubectl, require_cluster
from baggage.jobs.rest import FlinkError, FlinkRest

#: The pages of the cluster on the loopback address: the ports are those of argocd/kind.yaml.
ARGOCD_URL = "http://127.0.0.1:30080"
FLINK_URL = "http://127.0.0.1:30081"
GRAFANA_URL = "http://127.0.0.1:30300"

_FINDINGS = ("python", "-m", "baggage.monitor", "status")


def status() -> bool:
    """Print the Applications, the pods that are not ready, the jobs and what is wrong; return whether all is well."""
    require_cluster()
    console = Console()
    table = Table("Application", "sync", "health", "revision", "what it says", box=None)
    applications = argocd.applications()
    for application in applications:
        style = None if application.good else "yellow"
        columns = (application.name, application.sync, application.health, application.revision[:7])
        table.add_row(*columns, application.message[:120], style=style)
    console.print(table)
    waiting = [pod["metadata"]["name"] for pod in get("pods", "-n", NAMESPACE)["items"] if not _is_ready(pod)]
    console.print(f"pods that are not ready: {', '.join(waiting) or 'none'}")
    try:
        jobs = FlinkRest(FLINK_URL).get("/jobs/overview")["jobs"]
        lines = [f"{job['name']} {job['state']}" for job in sorted(jobs, key=lambda job: job["start-time"])]
    except FlinkError as error:
        lines = [str(error)]
    console.print(f"jobs: {', '.join(lines) or 'none'}")
    wrong = findings()
    for finding in wrong:
        console.print(f"wrong: {finding}", style="red", markup=False, soft_wrap=True)
    return bool(applications) and not wrong and all(application.good for application in applications)


def findings() -> list[str]:
    """What the monitor finds wrong, or that it cannot be asked."""
    try:
        return kubectl("exec", "-n", NAMESPACE, "deployment/monitor", "--", *_FINDINGS).splitlines()
    except ClusterError as error:
        return [f"the monitor cannot be asked: {error}"]


def _is_ready(pod: dict[str, Any]) -> bool:
    state = pod["status"]
    if state.get("phase") == "Succeeded":
        return True
    return any(each["type"] == "Ready" and each["status"] == "True" for each in state.get("conditions", []))


def addresses() -> dict[str, tuple[str, str]]:
    """The pages: their address, and how to get in."""
    return {
        "Argo CD": (ARGOCD_URL, f"admin / {secrets.read(argocd.NAMESPACE, 'argocd-initial-admin-secret', 'password')}"),
        "Grafana": (GRAFANA_URL, f"admin / {secrets.read(NAMESPACE, 'grafana-admin', 'password')}"),
        "Flink": (FLINK_URL, "no password; reachable from this machine only"),
    }


def show_addresses() -> None:
    """Print the addresses and passwords."""
    require_cluster()
    console = Console()
    for name, (url, login) in addresses().items():
        console.print(f"{name:<8} {url}   {login}", highlight=False, soft_wrap=True)
