"""Git on a laptop: a server inside the cluster, which `git push dev` reaches through the node's port."""

from __future__ import annotations

import time

from baggage.cluster.commands import ClusterError, call, kubectl

NAMESPACE = "git"
REMOTE = "dev"
BRANCH = "main"
#: The same repository, from outside and from inside of the cluster (argocd/kind.yaml, argocd/git-server).
PUSH_URL = "http://127.0.0.1:30418/baggage.git"
CLUSTER_URL = "http://git-server.git.svc/baggage.git"

_PATIENCE = 60


def serve() -> None:
    """Start the server and add the remote."""
    kubectl("apply", "--server-side", "--force-conflicts", "-k", "argocd/git-server")
    kubectl("rollout", "status", "deployment/git-server", "-n", NAMESPACE, "--timeout=300s")
    if REMOTE in call("git", "remote").split():
        call("git", "remote", "set-url", REMOTE, PUSH_URL)
    else:
        call("git", "remote", "add", REMOTE, PUSH_URL)


def push() -> None:
    """Push the commit that is checked out. Raises ClusterError where the cluster has others that this one lacks."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            call("git", "push", REMOTE, f"HEAD:{BRANCH}")
        except ClusterError as error:
            # The node's port leads to a new pod only some seconds after it is ready.
            if "unable to access" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(1)
        else:
            return


def head() -> str:
    """The commit that is checked out."""
    return call("git", "rev-parse", "HEAD").strip()


def require_committed(*paths: str) -> None:
    """Raises ClusterError if something under the paths is not in Git: what runs must be what Git says."""
    changed = call("git", "status", "--porcelain", "--", *paths).strip()
    if changed:
        raise ClusterError(f"not committed, so it cannot be deployed: {', '.join(changed.split()[1::2])}")


def commit(path: str, message: str) -> None:
    """Commit one file."""
    call("git", "commit", "--quiet", "--message", message, "--", path)


def forget_remote() -> None:
    """Remove the remote, if there is one."""
    if REMOTE in call("git", "remote").split():
        call("git", "remote", "remove", REMOTE)
