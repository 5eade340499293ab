"""`python -m baggage.cluster up|status|open|deploy|down`: what `make` calls."""

from __future__ import annotations

import argparse
import sys

from baggage.cluster import argocd
from baggage.cluster.commands import ClusterError
from baggage.cluster.status import show_addresses, status
from baggage.cluster.up import deploy, down, up
from baggage.settings import read_settings


def main() -> None:
    """Do what the argument says; what is wrong is one line and exit code 1."""
    parser = argparse.ArgumentParser(prog="python -m baggage.cluster", description=__doc__)
    parser.add_argument("what", choices=("up", "status", "open", "deploy", "down"))
    parser.add_argument("--repo-url", help="the repository that Argo CD follows; default: the cluster's own copy")
    parser.add_argument("--revision", default="main", help="of that repository; default: main")
    parser.add_argument("--argocd-manifest", default=argocd.MANIFEST, help="where Argo CD's install.yaml is")
    arguments = parser.parse_args()
    read_settings()
    try:
        if arguments.what == "up":
            up(arguments.repo_url or None, arguments.revision, arguments.argocd_manifest or argocd.MANIFEST)
            show_addresses()
        elif arguments.what == "status":
            sys.exit(0 if status() else 1)
        elif arguments.what == "open":
            show_addresses()
        elif arguments.what == "deploy":
            deploy()
        else:
            down()
    except ClusterError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("stopped; run it again to go on")


if __name__ == "__main__":
    main()
