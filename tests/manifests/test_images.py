"""Images are named by their content, and their names are pinned in Git."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from baggage.cluster import images
from baggage.cluster.commands import ClusterError
from tests.manifests.manifests import REPOSITORY


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what images are made from, to change."""
    for part in ("apps", "images", "overlays/components"):
        shutil.copytree(REPOSITORY / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(images, "REPOSITORY", tmp_path)
    return tmp_path


def tags() -> dict[str, str]:
    """The tags of all images."""
    return {image: images.tag(image) for image in images.SOURCES}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ("apps/baggage/domain/stages.py", {"baggage"}),
        ("apps/baggage/provision/views.sql", {"baggage"}),
        ("apps/baggage/local/jars.lock", {"flink"}),
        ("apps/baggage/local/board.py", set()),
        ("apps/baggage/cluster/up.py", set()),
        ("images/flink/entrypoint", {"flink"}),
        ("images/grafana/Dockerfile", {"grafana"}),
    ],
)
def test_a_change_is_another_tag_of_the_images_that_hold_it(copy: Path, changed: str, expected: set[str]) -> None:
    before = tags()
    assert before == tags()
    (copy / changed).write_text((copy / changed).read_text() + "\n")
    assert {image for image, tag in tags().items() if tag != before[image]} == expected


def test_pins_are_written_and_read_back(copy: Path) -> None:
    # A tag of digits and an e is a number to YAML unless it is quoted.
    new = images.pinned() | {"flink": "2740638246e0"}
    assert images.pin(new) == ["flink"]
    assert images.pinned() == new
    assert '"2740638246e0"' in (copy / images.PINS).read_text()
    assert images.pin(new) == []


def test_an_image_that_the_overlay_does_not_name_is_an_error(copy: Path) -> None:
    (copy / images.PINS).write_text("images: []\n")
    with pytest.raises(ClusterError, match="does not name baggage-poc/flink once"):
        images.pin({"flink": "1"})
