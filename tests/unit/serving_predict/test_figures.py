"""Batched metrics say what single ones would."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram

from serving.metrics import DURATION_BUCKETS, observer


def figures(registry: CollectorRegistry) -> dict[tuple[str, str], float]:
    samples = [sample for metric in registry.collect() for sample in metric.samples if "created" not in sample.name]
    return {(sample.name, sample.labels.get("le", "")): sample.value for sample in samples}


@given(st.lists(st.sampled_from([*DURATION_BUCKETS, 0.0, 0.00025, 0.003, 100.0])))
def test_many_observations_at_once_equal_one_by_one(values: list[float]) -> None:
    single, batched = CollectorRegistry(), CollectorRegistry()
    one_by_one = Histogram("h", "h", buckets=DURATION_BUCKETS, registry=single)
    for value in values:
        one_by_one.observe(value)
    observer(Histogram("h", "h", buckets=DURATION_BUCKETS, registry=batched))(values)
    expected, found = figures(single), figures(batched)
    assert found.keys() == expected.keys()
    assert all(abs(found[key] - expected[key]) < 1e-9 for key in expected)
