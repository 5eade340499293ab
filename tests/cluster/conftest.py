"""The cluster that `make up` made; without it every test here fails with one line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from baggage.cluster.commands import ClusterError, require_cluster
from tests.cluster.cluster import Clone, wait_until_good


@pytest.fixture(scope="session", autouse=True)
def _cluster() -> None:
    try:
        require_cluster()
    except ClusterError as error:
        pytest.exit(f"the tests of the cluster need one: {error}", returncode=1)


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Clone]:
    """A clone to push from; afterwards the cluster follows again what it followed before."""
    made = Clone(tmp_path / "clone")
    wait_until_good(made.components(), made.original)
    yield made
    made.restore()


@pytest.fixture
def components(tmp_path: Path) -> set[str]:
    """The components that the cluster should have, which is good before the test begins."""
    found = Clone(tmp_path / "components").components()
    wait_until_good(found)
    return found
