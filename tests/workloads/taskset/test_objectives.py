"""Configs of the two families of objectives, and the programs that tasks share."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.workloads.taskset.published import assert_same, characters, golden_config
from workloads import Regularization
from workloads.taskset import fixed, losg_tasks_family, quadratic_family

FAMILIES = {"quadratic_family": quadratic_family, "losg_tasks_family": losg_tasks_family}
CHARACTERS = {"quadratic_family": 357_973, "losg_tasks_family": 147_341}  # of the published 1,000 lines
# The programs run for milliseconds, so the time goes into compiling them.
FAST = {"xla_backend_optimization_level": "0", "xla_llvm_disable_expensive_passes": True}
BOWLS = ("TwoD_Bowl1", "TwoD_Bowl10", "TwoD_Bowl100", "TwoD_Bowl1000")


@pytest.mark.parametrize("family", FAMILIES)
def test_configs_equal_the_golden_ones(shared, family):
    for seed in range(20):
        expected = golden_config(shared, family, seed)
        assert_same(FAMILIES[family].sample(seed), expected, f"{family}_seed{seed}")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_thousand_configs_fill_a_file_of_the_published_length(family):
    assert characters(family, FAMILIES[family].sample) == CHARACTERS[family]


def _quadratic(noise, output_fn="identity", dims=6, seed=0, **changes):
    config = {
        "A_dist": ["normal", {"mean": 0.1 * seed, "std": 1.0}],
        "initial_dist": ["normal", {"mean": 0.0, "std": 1.0}],
        "output_fn": output_fn,
        "dims": dims,
        "seed": seed,
        "loss_scale": 1.0 + seed,
        "noise": noise and {"A_noise": noise},
    }
    return quadratic_family.from_config(f"test/{seed}", config | changes)


def test_quadratics_of_equal_structure_share_a_program_whatever_their_numbers():
    one = _quadratic(["normal", {"mean": 0.0, "std": 0.1}])
    kinds = {
        one.shared.key,
        _quadratic(["normal", {"mean": 3.0, "std": 0.2}], seed=5).shared.key,
        _quadratic(
            ["normal", {"mean": 0.0, "std": 0.1}], A_dist=["linspace_eigen", {"min": 1.0, "max": 2.0}]
        ).shared.key,
    }
    assert len(kinds) == 1
    # Equal but for the law of its eigenvalues, which are constants.
    linear, logarithmic = (
        _quadratic([f"{law}_eigen", {"min": 1.0, "max": 2.0}]).shared.key for law in ("linspace", "logspace")
    )
    assert linear == logarithmic
    others = [linear] + [
        workload.shared.key
        for workload in (
            _quadratic(None),
            _quadratic(["uniform", {"min": 0.0, "max": 1.0}]),
            _quadratic(["normal", {"mean": 0.0, "std": 0.1}], dims=7),
            _quadratic(["normal", {"mean": 0.0, "std": 0.1}], output_fn="log"),
        )
    ]
    assert len({*kinds, *others}) == 6


def test_the_bowls_share_a_program_and_the_test_functions_do_not():
    keys = {name: fixed.build(name).shared.key for name in fixed.groups()["two_d"]}
    assert len({keys[name] for name in BOWLS}) == 1
    assert len(set(keys.values())) == 5


def test_losg_problems_of_equal_structure_share_a_program_and_others_do_not():
    def key(kind, numbers, seed=0):
        return losg_tasks_family.from_config("test/key", [kind, numbers, seed]).shared.key

    quiet = key("quadratic", {"dim": 12, "noise_stdev": 0.0})
    noisy = key("quadratic", {"dim": 12, "noise_stdev": 0.5})
    assert quiet == key("quadratic", {"dim": 12, "noise_stdev": 0.0}, seed=7)
    assert noisy == key("quadratic", {"dim": 12, "noise_stdev": 5.0})
    base = ["quadratic", {"dim": 12, "noise_stdev": 0.5}]
    rescaled = key("rescale_problems", {"base": base, "scale": 2.0})
    assert rescaled == key("rescale_problems", {"base": base, "scale": 3.0}, seed=1)
    sparse = key("sparse_problems", {"base": base, "zero_probability": 0.95, "noise_stdev": 0.0})
    different = {quiet, noisy, rescaled, sparse, key("log_objective", {"base": base})}
    different |= {key("quadratic", {"dim": 13, "noise_stdev": 0.0})}
    different |= {key("sum_of_quadratics", {"dim": 5, "bs": bs, "n_samples": 100}) for bs in (3, 4)}
    assert len(different) == 8


@pytest.mark.parametrize(
    "workloads",
    [
        [_quadratic(None, seed=seed) for seed in (1, 2)],
        [fixed.build(name) for name in BOWLS],
        [
            losg_tasks_family.from_config(
                "test/shared", ["rescale_problems", {"base": ["norm", numbers], "scale": scale}, seed]
            )
            for numbers, scale, seed in (
                ({"dim": 5, "norm_power": 2.0}, 3.0, 1),
                ({"dim": 5, "norm_power": 3.0}, 0.1, 2),
            )
        ],
    ],
    ids=["quadratic", "bowl", "rescaled norm"],
)
def test_one_compiled_program_gives_every_task_its_own_start_value_and_gradient(workloads):
    def gradient(functions, key):
        params, state = functions.init(key)

        def of_params(params):
            return functions.loss(params, state, {}, key, True, Regularization())[0]

        return params, *jax.value_and_grad(of_params)(params)

    shared = workloads[0].shared
    program = jax.jit(lambda constants, key: gradient(shared.bind(constants), key), compiler_options=FAST)
    key = jax.random.key(3)
    values = []
    for workload in workloads:
        got = program({name: jnp.asarray(value) for name, value in workload.shared.constants.items()}, key)
        expected = jax.jit(functools.partial(gradient, workload), compiler_options=FAST)(key)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), got, expected)
        values.append(float(got[1]))
    assert program._cache_size() == 1
    assert len(set(values)) == len(workloads)
