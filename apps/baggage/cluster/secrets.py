"""The passwords of dev: generated into Secrets of the cluster, never in Git."""

from __future__ import annotations

import base64
import json
import secrets

from baggage.cluster.commands import NAMESPACE, exists, get, kubectl

#: Secret name to its keys. Elsewhere the same Secrets come from a vault (overlays/components/external-secrets).
PASSWORDS = {
    "clickhouse-passwords": ("owner", "writer", "reader"),
    "grafana-admin": ("password",),
}


def generate() -> list[str]:
    """Create the Secrets that are missing; return their names. What is there stays as it is."""
    missing = [name for name in PASSWORDS if not exists("secret", name, "-n", NAMESPACE)]
    for name in missing:
        data = {key: secrets.token_hex(16) for key in PASSWORDS[name]}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}
        # Through standard input: the arguments of a process are for all to see.
        kubectl("create", "-n", NAMESPACE, "-f", "-", text=json.dumps(secret))
    return missing


def read(namespace: str, name: str, key: str) -> str:
    """One password, in clear text."""
    return base64.b64decode(get("secret", name, "-n", namespace)["data"][key]).decode()
