"""The pipeline in a kind cluster, reconciled by Argo CD: `make up`, `status`, `open`, `deploy`, `down`."""
