"""Metric families as prometheus_client prints them."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.utils import floatToGoString

from apps.operations.metrics.folder import Counted
from nautilus.counting.counters import REGISTRY

PREFIX = "nautilus_"

Row = tuple[Sequence[Any], float | None]  # label values, value; None: not known, and left out


def gauge(name: str, text: str, labels: Sequence[str], rows: Iterable[Row]) -> Metric:
    return _filled(GaugeMetricFamily(PREFIX + name, text, labels=labels), rows)


def counter(name: str, text: str, labels: Sequence[str], rows: Iterable[Row]) -> Metric:
    """`name` without the _total that its samples get."""
    return _filled(CounterMetricFamily(PREFIX + name, text, labels=labels), rows)


def single(name: str, text: str, value: float | None) -> Metric:
    return gauge(name, text, (), [((), value)])


def _filled(family: Any, rows: Iterable[Row]) -> Metric:
    for labels, value in rows:
        if value is not None:
            family.add_metric([str(label) for label in labels], float(value))
    return family


# --- What the processes counted ---------------------------------------------------------------------------
def counted_families(counted: Counted) -> Iterator[Metric]:
    """Of our metrics, also where nothing was counted yet; those of others in the folder, as Flower's, are left out."""
    families = {one.name: Metric(one.name, one.documentation, one.type) for one in REGISTRY.collect()}
    buckets: dict[tuple[str, str], dict[float, float]] = defaultdict(dict)
    for type_name, values in counted.by_type.items():
        for key, value in values.items():
            family_name, sample_name, labels, text = json.loads(key)
            if family_name.startswith(PREFIX):
                # One that this process does not know: what an older release has counted, or a newer one.
                family = families.setdefault(family_name, Metric(family_name, text, type_name.partition("_")[0]))
                _add(family, sample_name, labels, value, buckets)
    _add_buckets(families, buckets)
    yield from families.values()


def _add(
    family: Metric,
    sample_name: str,
    labels: Mapping[str, str],
    value: float,
    buckets: dict[tuple[str, str], dict[float, float]],
) -> None:
    """A bucket of a file counts what is in it alone; Prometheus' counts what is below its bound."""
    if "le" not in labels:
        family.add_sample(sample_name, dict(labels), value)
        return
    others = json.dumps({name: said for name, said in labels.items() if name != "le"}, sort_keys=True)
    buckets[family.name, others][float(labels["le"])] = value


def _add_buckets(families: Mapping[str, Metric], buckets: Mapping[tuple[str, str], Mapping[float, float]]) -> None:
    for (name, others), values in buckets.items():
        labels, below = json.loads(others), 0.0
        for bound, value in sorted(values.items()):
            below += value
            families[name].add_sample(f"{name}_bucket", {**labels, "le": floatToGoString(bound)}, below)
        families[name].add_sample(f"{name}_count", labels, below)
