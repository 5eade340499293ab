"""`make up`, `deploy` and `down`: each may be run again at any time."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from rich.console import Console

from baggage.cluster import argocd, git, images, secrets
from baggage.cluster.commands import CLUSTER, CONTEXT, REPOSITORY, call, cluster_exists, kubectl, require

ENVIRONMENT = "dev"
_OVERLAY = Path("overlays") / ENVIRONMENT


class Progress:
    """Lines that say what happens, with the seconds since the start."""

    def __init__(self) -> None:
        self._console, self._started = Console(stderr=True), time.monotonic()

    def __call__(self, what: str) -> None:
        """Say it."""
        seconds = time.monotonic() - self._started
        self._console.print(f"[dim]{seconds:5.0f} s[/dim]  {what}", highlight=False, soft_wrap=True)


def components() -> set[str]:
    """The components of dev: the folders of its overlay."""
    return {folder.name for folder in (REPOSITORY / _OVERLAY).iterdir() if folder.is_dir()}


def up(repo_url: str | None, revision: str, manifest: str) -> None:
    """Bring up the cluster with everything in it, from whatever is there. Raises ClusterError with what is missing.

    Without `repo_url` the cluster serves this repository itself; with it Argo CD follows that one at `revision`.
    """
    require("docker", "kind", "kubectl", "git")
    git.require_committed("apps", "images", "base", "overlays", "argocd")
    say = Progress()
    say(f"fetching Argo CD {argocd.VERSION} ...")
    content = argocd.manifest(manifest)
    say("building the images, creating the cluster ...")
    with ThreadPoolExecutor() as pool:
        builds = {image: pool.submit(images.build, image) for image in images.SOURCES}
        _create_cluster(say)
        say("installing Argo CD, loading the images ...")
        installed = pool.submit(argocd.install, content)
        _prepare_namespace(say)
        _load(builds, say)
        if repo_url is None:
            repo_url, revision = git.CLUSTER_URL, git.BRANCH
            _pin(say)
            git.serve()
            git.push()
            say(f"{git.head()[:7]} is pushed to the cluster's own Git ({git.REMOTE}: {git.PUSH_URL})")
        installed.result()
    say(f"Argo CD {argocd.VERSION} runs; it follows {repo_url} at {revision}")
    argocd.apply_root(repo_url, revision, ENVIRONMENT)
    argocd.refresh()
    followed = git.head() if repo_url == git.CLUSTER_URL else None
    argocd.wait_until_good(components(), followed, say)
    say("every Application is Synced and Healthy")


def deploy() -> None:
    """Bring what is committed into the cluster: build, load, pin, commit the pins, push, and wait for it."""
    require("docker", "kind", "kubectl", "git")
    git.require_committed("apps", "images", "base", "overlays", "argocd")
    say = Progress()
    say("building the images ...")
    with ThreadPoolExecutor() as pool:
        _load({image: pool.submit(images.build, image) for image in images.SOURCES}, say)
    _pin(say)
    git.push()
    argocd.refresh()
    say(f"{git.head()[:7]} is pushed; Argo CD deploys it")
    argocd.wait_until_good(components(), git.head(), say)
    say("every Application is Synced and Healthy")


def down() -> None:
    """Delete the cluster with all that it holds."""
    require("docker", "kind", "git")
    call("kind", "delete", "cluster", "--name", CLUSTER)
    git.forget_remote()


def _create_cluster(say: Progress) -> None:
    if not cluster_exists():
        call("kind", "create", "cluster", "--config", "argocd/kind.yaml", "--wait", "180s")
        say(f"the cluster {CLUSTER} is there (kubectl --context {CONTEXT})")
        return
    # After a restart of Docker the node may be stopped.
    call("docker", "start", f"{CLUSTER}-control-plane")
    kubectl("wait", "node", "--all", "--for=condition=Ready", "--timeout=180s")


def _prepare_namespace(say: Progress) -> None:
    kubectl("apply", "--server-side", "--force-conflicts", "-k", str(_OVERLAY / "namespace"))
    if generated := secrets.generate():
        say(f"passwords are generated: {', '.join(generated)}")


def _load(builds: dict[str, Future[str]], say: Progress) -> None:
    for image, built in builds.items():
        name = built.result()
        images.load(name)
        say(f"{name} is on the node ({image})")


def _pin(say: Progress) -> None:
    changed = images.pin({image: images.tag(image) for image in images.SOURCES})
    if changed:
        git.commit(str(images.PINS), f"Run {', '.join(f'{image} {images.tag(image)}' for image in changed)} in dev")
        say(f"pinned and committed: {', '.join(changed)}")
