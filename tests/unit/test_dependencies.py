"""Design, "Top level": what may import what."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import baggage

PACKAGE = Path(baggage.__file__).parent
PARTS = ("generator", "jobs", "provision", "verify")
#: The topics are data that everybody names; a client for ClickHouse is made in one place.
SHARED = {"baggage.provision.topics", "baggage.provision.schema"}


def imports(part: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for file in sorted((PACKAGE / part).rglob("*.py")):
        names: set[str] = set()
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{file}: relative import"
                names.add(node.module or "")
        found[str(file.relative_to(PACKAGE))] = names
    assert found
    return found


def test_the_domain_imports_nothing_of_ours_and_one_library() -> None:
    for file, names in imports("domain").items():
        ours = {name for name in names if name.startswith("baggage")}
        assert all(name.startswith("baggage.domain") for name in ours), file
        others = {name.partition(".")[0] for name in names - ours} - {"msgspec"}
        assert not others & {"pyflink", "confluent_kafka", "clickhouse_connect", "numpy", "pydantic", "time"}, file


@pytest.mark.parametrize("part", PARTS)
def test_the_parts_never_import_each_other(part: str) -> None:
    for file, names in imports(part).items():
        for other in {*PARTS, "local", "cluster"} - {part}:
            foreign = {name for name in names if name.startswith(f"baggage.{other}")} - SHARED
            assert not foreign, f"{file} imports {foreign}"


def test_what_runs_in_the_small_image_does_not_need_flink() -> None:
    files = imports("generator") | imports("provision") | imports("verify")
    jobs = imports("jobs")
    files |= {f"jobs/{name}.py": jobs[f"jobs/{name}.py"] for name in ("handover", "names", "release", "rest")}
    for file, names in files.items():
        assert not any(name.startswith("pyflink") for name in names), file
        assert names & {"baggage.jobs.submit"} == set(), file
