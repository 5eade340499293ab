"""The schemas of kinds that come with operators, from the operators' own Go modules (`make` downloads them)."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from tests.manifests.manifests import Manifest

#: Where the modules are below the module cache, and where each keeps its definitions.
DEFINITIONS = {
    "cert-manager.io": "github.com/cert-manager/cert-manager@*/deploy/crds",
    "external-secrets.io": "github.com/external-secrets/external-secrets@*/config/crds/bases",
    "gateway.envoyproxy.io": "github.com/envoyproxy/gateway@*/charts/gateway-helm/crds/generated",
    "gateway.networking.k8s.io": "sigs.k8s.io/gateway-api@*/config/crd/standard",
}


def validate(manifest: Manifest) -> None:
    """Raises ValidationError, with the field, for what the operator would refuse, an unknown field included."""
    group, _, version = manifest["apiVersion"].partition("/")
    metadata = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = _schemas(group)[manifest["kind"], version]
    schema["properties"] |= {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": metadata}
    # OpenAPI 3.0, of which this draft is the one behind it.
    jsonschema.validate(manifest, schema, jsonschema.Draft4Validator)


@cache
def _schemas(group: str) -> dict[tuple[str, str], dict[str, Any]]:
    found = {}
    for folder in Path(os.environ["GO_MODULES"]).glob(DEFINITIONS[group]):
        for file in folder.glob("*.yaml"):
            for definition in yaml.safe_load_all(file.read_text()):
                if definition and definition["kind"] == "CustomResourceDefinition":
                    spec = definition["spec"]
                    for version in spec["versions"]:
                        schema = version["schema"]["openAPIV3Schema"]
                        found[spec["names"]["kind"], version["name"]] = _closed(schema)
    return found


def _closed(schema: Any) -> Any:
    """A schema that refuses fields it does not name, as the API server does when it is asked to be strict."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        closed.setdefault("additionalProperties", False)
    if schema.get("x-kubernetes-int-or-string"):
        closed = {key: value for key, value in closed.items() if key not in ("anyOf", "type")}
    return closed
