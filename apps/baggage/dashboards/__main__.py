"""`python -m baggage.dashboards`: render, and say what changed."""

from __future__ import annotations

import sys

from baggage.dashboards.render import REPOSITORY, RenderError, render, write
from baggage.settings import read_settings


def main() -> None:
    """Render all; what is wrong is one line and exit code 1."""
    read_settings()
    try:
        rendered = render()
    except RenderError as error:
        sys.exit(f"error: {error}")
    changed = write(rendered)
    for path in changed:
        sys.stdout.write(f"{path.relative_to(REPOSITORY)}\n")
    sys.stdout.write(f"{len(rendered)} files are current, {len(changed)} of them changed\n")


if __name__ == "__main__":
    main()
