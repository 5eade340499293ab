"""Design, "How the jobs are cut": the layout of a job's state has a version, which changes with it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

STORED = Path(__file__).with_name("state_layouts.json")


def test_the_state_has_another_version_where_it_has_another_layout() -> None:
    # In a process of its own: it starts a JVM.
    command = [sys.executable, "-m", "tests.local.state_layouts"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=STORED.parents[2])
    assert done.returncode == 0, done.stderr
    now, stored = json.loads(done.stdout[done.stdout.index("{") :]), json.loads(STORED.read_text())
    for job, layout in stored.items():
        if layout["version"] == now[job]["version"]:
            assert layout == now[job], (
                f"the state of {job} has another layout: raise its STATE_VERSION, and store what "
                "python -m tests.local.state_layouts prints in state_layouts.json"
            )
    assert now == stored, "store what python -m tests.local.state_layouts prints in state_layouts.json"
