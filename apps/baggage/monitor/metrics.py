"""The samples for Prometheus, at /metrics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from baggage.monitor.samples import HELP, Measure, Sample

_PREFIX = "baggage_"


class Newest(Collector):
    """Hands the newest samples to whoever scrapes."""

    def __init__(self) -> None:
        self.samples: Sequence[Sample] = ()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """A family of each measure."""
        by_measure: dict[Measure, list[Sample]] = {}
        for sample in self.samples:
            by_measure.setdefault(sample.measure, []).append(sample)
        for measure, samples in by_measure.items():
            names = list(samples[0].labels)
            family = GaugeMetricFamily(_PREFIX + measure.value, HELP[measure], labels=names)
            for sample in samples:
                family.add_metric([sample.labels[name] for name in names], sample.value)
            yield family


def serve(port: int, address: str) -> Newest:
    """Serve metrics from now on; return what takes the samples. Raises OSError for a port that is taken."""
    registry, newest = CollectorRegistry(), Newest()
    registry.register(newest)
    start_http_server(port, address, registry)
    return newest
