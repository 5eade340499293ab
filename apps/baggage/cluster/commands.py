"""The programs that do the work: docker, kind, kubectl and git, called with clear errors."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

CLUSTER = "baggage-poc"
NAMESPACE = "baggage-poc"
CONTEXT = f"kind-{CLUSTER}"
#: The root of the repository, where every command runs.
REPOSITORY = Path(__file__).parents[3]

_INSTALL = {
    "docker": "https://docs.docker.com/engine/install",
    "kind": "https://kind.sigs.k8s.io/docs/user/quick-start/#installation",
    "kubectl": "https://kubernetes.io/docs/tasks/tools",
    "git": "https://git-scm.com/downloads",
}
# The cluster takes 5 GiB; the rest of the machine wants some, too.
_MEMORY_GIB = 7


class ClusterError(RuntimeError):
    """The cluster cannot be brought to what was asked for, and why, in one line."""


def call(*command: str, text: str | None = None) -> str:
    """Run a command in the root of the repository and return its output. Raises ClusterError if it fails."""
    done = subprocess.run(  # noqa: S603 (our own commands)
        command, cwd=REPOSITORY, input=text, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise ClusterError(f"`{' '.join(command[:6])}` failed: {' / '.join(said[-4:])}")
    return done.stdout


def kubectl(*arguments: str, text: str | None = None) -> str:
    """Run kubectl on the cluster, whatever the user's current context is."""
    return call("kubectl", "--context", CONTEXT, *arguments, text=text)


def get(*arguments: str) -> dict[str, Any]:
    """`kubectl get … -o json`, read."""
    answer: dict[str, Any] = json.loads(kubectl("get", *arguments, "-o", "json"))
    return answer


def exists(*arguments: str) -> bool:
    """Whether an object exists."""
    return bool(kubectl("get", *arguments, "--ignore-not-found", "-o", "name").strip())


def require(*programs: str) -> None:
    """Raises ClusterError, saying how to get it, if a program is missing, or if Docker is not fit."""
    for program in programs:
        if shutil.which(program) is None:
            raise ClusterError(f"{program} is missing: install it, see {_INSTALL[program]}")
    if "docker" in programs:
        try:
            memory = int(call("docker", "info", "--format", "{{.MemTotal}}"))
        except (ClusterError, ValueError) as error:
            raise ClusterError("Docker does not answer: start it, or give this user access to it") from error
        if memory < _MEMORY_GIB * 2**30:
            raise ClusterError(
                f"Docker has {memory / 2**30:.1f} GiB of memory and the cluster needs {_MEMORY_GIB}: give it more"
            )


def cluster_exists() -> bool:
    """Whether the kind cluster was created."""
    return CLUSTER in call("kind", "get", "clusters").split()


def require_cluster() -> None:
    """Raises ClusterError if there is no cluster to talk to."""
    require("docker", "kind", "kubectl", "git")
    if not cluster_exists():
        raise ClusterError("there is no cluster: make up")
