"""Tasks drawn as VeLO's were: how often, how dear, and how they differ inside a program."""

from __future__ import annotations

import collections

import jax
import numpy as np
import pytest

from tuning.meta_training import parametric
from tuning.meta_training.parametric import PHASES, Parametric, predicted_seconds
from workloads import augmented, velo


def names_of(distribution, count):
    rng = np.random.default_rng(0)
    return [distribution.drawn_name(rng) for _ in range(count)]


def test_fast_tasks_come_up_more_often_and_none_is_dearer_than_the_largest_bound():
    made = Parametric("velo-two", slowdown=200.0, augment=False)
    seconds, families = [], collections.Counter()
    for name in names_of(made, 200):
        family, seed, *_ = velo.parse(name) or ("", 0)
        seconds.append(predicted_seconds(family, seed))
        families[family] += 1
    assert max(seconds) < max(PHASES["velo-two"].limits) * 200.0
    assert np.mean(np.asarray(seconds) < 4e-4 * 200.0) > 0.6
    assert set(families) == set(made.names)
    # 4 of 10 bounds leave five families, the others nine.
    assert min(families[f] for f in parametric.EARLY) > max(families[f] for f in parametric.LATE) / 2


def test_augmentations_come_up_as_often_as_the_program_has_them():
    rng = np.random.default_rng(1)
    drawn = [parametric.augmentations(rng) for _ in range(4000)]
    shares = collections.Counter(each.partition("=")[0] for one in drawn for each in one)
    expected = {
        "reparametrised": 5 / 7, "es_gradient": 0.08, "reduced_batch": 0.2, "bfloat16": 0.2,
        "normalized_gradient": 0.05, "random_directions": 0.08, "delayed": 0.05,
    }  # fmt: skip
    for kind, share in expected.items():
        assert shares[kind] / 4000 == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / 4000)), kind
    assert set(shares) == set(expected)


def test_a_key_gives_one_task_whose_numbers_differ_inside_a_program():
    made = Parametric("velo-one", slowdown=500.0)
    rng = np.random.default_rng(np.asarray(jax.random.key_data(jax.random.key(4))).tolist())
    assert made.draw(jax.random.key(4), 0).workload.name == made.drawn_name(rng)
    task = made.task("velo/image_mlp_seed1+reparametrised=global:0.1:10")
    assert task is made.task("velo/image_mlp_seed1+reparametrised=global:0.1:10")
    assert task.sample is made.task("velo/image_mlp_seed1").sample is parametric.resampled
    constants = task.workload.shared.constants
    many = jax.vmap(lambda key: task.sample(constants, key))(jax.random.split(jax.random.key(0), 50))
    assert len(set(np.asarray(many["activation"]).tolist())) > 5
    assert np.std(np.log(many["augmented_scale"])) > 0.5


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"phase": "velo-three"}, "unknown phase 'velo-three'; must be one of velo-one, velo-two"),
        ({"slowdown": 0.0}, "slowdown is 0.0; must be above 0"),
    ],
)
def test_what_it_cannot_be(given, message):
    with pytest.raises(ValueError, match=message):
        Parametric(**given)


def test_bounds_that_no_task_keeps_are_told():
    with pytest.raises(ValueError, match=r"none of 512 tasks of .* a slowdown of 1e-06 is too small"):
        names_of(Parametric(slowdown=1e-6), 1)


def test_every_name_that_is_drawn_loads():
    """Of one seed, with the augmentations of many draws."""
    for name in names_of(Parametric(slowdown=500.0), 40):
        plain, *switches = name.split(augmented.SEPARATOR)
        assert velo.parse(plain) is not None
        for switch in switches:
            assert switch.partition("=")[0] in {k.partition("=")[0] for k in augmented.KINDS}
