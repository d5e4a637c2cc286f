"""The scales below the full one of the DLRM and the U-Net: sizes, data, stand-ins, and that they learn."""

import dataclasses

import jax
import numpy as np
import pytest

import workloads
from submissions import optimizer
from tests.workloads.algoperf import narrow
from tuning.engine.population import Population
from workloads.algoperf import _click_rows, _heads, criteo1tb, fastmri
from workloads.data import brain, flights

BASES = {"criteo1tb": criteo1tb.BASE, "fastmri": fastmri.BASE}
SIZES = {"train": 40, "validation": 20, "test": 10}
EMBEDDED = {
    "criteo1tb": (flights, lambda: _click_rows.resident(SIZES)),
    "fastmri": (brain, lambda: _heads.resident(20, SIZES)),
}


def options_of(base, variant, scale):
    scale = base.scales[scale]
    changes = {**scale.options, **base.variants.get(variant, {}), **scale.variants.get(variant, {})}
    return dataclasses.replace(base.options, **changes)


@pytest.mark.parametrize("name", BASES)
@pytest.mark.parametrize(("scale", "fewest", "most"), [("mini", 1_500, 40_000), ("small", 2e5, 1.4e6)])
def test_scales_are_of_their_size_and_have_the_same_modules(name, scale, fewest, most):
    base = BASES[name]
    for variant in (name, *base.variants):
        params, _ = jax.eval_shape(base.model(options_of(base, variant, scale)).init, jax.random.key(0))
        count = sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(params))
        assert fewest < count < most, variant
        if name == "criteo1tb":
            full, _ = jax.eval_shape(narrow.model(base, variant).init, jax.random.key(0))
            assert jax.tree.structure(params) == jax.tree.structure(full), variant


@pytest.mark.parametrize("name", BASES)
def test_real_data_and_what_stands_in_have_one_shape(name, monkeypatch):
    package, resident = EMBEDDED[name]
    with monkeypatch.context() as absent:
        absent.setattr(package, "version", lambda: None)
        made = resident()
    assert made.provenance.kind == "synthetic"
    assert f"the package {package.PACKAGE}" in made.provenance.source
    assert made.provenance.stands_in_for
    assert {split: made.size(split) for split in made.splits} == SIZES
    if package.version() is None:
        pytest.skip(f"{package.PACKAGE} is not installed; it is in the extra [embedded]")
    real = resident()
    assert real.provenance.kind == "embedded"
    assert f"{package.PACKAGE} {package.version()}" in real.provenance.source
    shapes = [
        {split: {n: (v.shape, v.dtype) for n, v in fields.items()} for split, fields in data.splits.items()}
        for data in (real, made)
    ]
    assert shapes[0] == shapes[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "learned"), [("criteo1tb", lambda m: m < 0.54), ("fastmri", lambda m: m > 0.6)], ids=BASES
)
def test_mini_learns_in_its_step_hint(name, learned):
    """From .57 nats, the entropy of the labels' frequency, to less than .54; from a similarity of .1 to .6."""
    workload = workloads.load(f"algoperf/{name}@mini")
    nadamw = optimizer("nadamw_optax")
    points = [nadamw.prepare({"learning_rate": rate}, workload.step_hint) for rate in (3e-3, 1e-2, 3e-2)]
    population = Population(workload, nadamw.rule, workload.step_hint, workload.eval_period)
    stacked = {name: np.array([point[name] for point in points], np.float32) for name in points[0]}
    curves = population.run(stacked, np.arange(3, dtype=np.uint32), np.zeros(1, np.uint32))
    found = curves.metrics[f"validation/{workload.metric.name}"]
    best = found.min() if workload.metric.minimize else found.max()
    assert learned(best)
