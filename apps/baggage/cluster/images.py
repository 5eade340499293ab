"""Our images: named by their content, built, loaded into the cluster, and pinned in Git.

`python -m baggage.cluster.images` prints the name of each, for those who build and push them themselves.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from baggage.cluster.commands import CLUSTER, REPOSITORY, ClusterError, call

#: What an image is made from, besides its own folder under images/.
SOURCES = {
    "baggage": (
        "apps/baggage/__init__.py",
        "apps/baggage/clock.py",
        "apps/baggage/log.py",
        "apps/baggage/settings.py",
        "apps/baggage/backup",
        "apps/baggage/domain",
        "apps/baggage/generator",
        "apps/baggage/jobs",
        "apps/baggage/monitor",
        "apps/baggage/provision",
        "apps/baggage/verify",
    ),
    "flink": (
        "apps/baggage/__init__.py",
        "apps/baggage/local/__init__.py",
        "apps/baggage/local/jars.py",
        "apps/baggage/local/jars.lock",
    ),
    "git-server": (),
    "grafana": (),
}
#: Where the tags that dev runs are pinned.
PINS = Path("overlays/components/images-dev/kustomization.yaml")


def repository(image: str) -> str:
    """The name of an image without its tag."""
    return f"baggage-poc/{image}"


def tag(image: str) -> str:
    """A digest of all that goes into an image: 12 hexadecimal digits. What has the same tag is the same."""
    digest = hashlib.sha256()
    for source in (f"images/{image}", *SOURCES[image]):
        for file in _files(REPOSITORY / source):
            digest.update(f"{file.relative_to(REPOSITORY)}\0".encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:12]


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    for file in sorted(path.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            yield file


def build(image: str) -> str:
    """Build an image, unless it is there; return its full name."""
    name = f"{repository(image)}:{tag(image)}"
    if not call("docker", "images", "--quiet", name).strip():
        call("docker", "build", "--file", f"images/{image}/Dockerfile", "--tag", name, ".")
    return name


def load(name: str) -> None:
    """Bring a built image onto the cluster's node, unless it is there."""
    call("kind", "load", "docker-image", name, "--name", CLUSTER)


def pinned() -> dict[str, str]:
    """The tags in Git, by image."""
    found = re.findall(r"- name: baggage-poc/(\S+)\n\s+newTag: \"(\S+)\"", (REPOSITORY / PINS).read_text())
    return dict(found)


def pin(tags: dict[str, str]) -> list[str]:
    """Write the tags into the overlay; return the images whose tag changed."""
    before = pinned()
    text = (REPOSITORY / PINS).read_text()
    for image, new in tags.items():
        # Quoted: to YAML some hexadecimal digits are a number.
        pattern = rf"(- name: {re.escape(repository(image))}\n\s+newTag: )\S+"
        text, count = re.subn(pattern, rf'\g<1>"{new}"', text)
        if count != 1:
            raise ClusterError(f"{PINS} does not name {repository(image)} once")
    (REPOSITORY / PINS).write_text(text)
    return [image for image, new in tags.items() if before[image] != new]


def main() -> None:
    """Print the full name of every image."""
    for image in SOURCES:
        sys.stdout.write(f"{repository(image)}:{tag(image)}\n")


if __name__ == "__main__":
    main()
