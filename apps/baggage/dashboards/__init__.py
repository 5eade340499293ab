"""Renders `grafonnet/` into `base/grafana`: `make dashboards`."""
