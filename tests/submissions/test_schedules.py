"""Learning-rate schedules against golden numbers, Optax, and what their rules promise."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import submissions
from submissions.optimizers import schedules

FLOAT64 = 1e-15  # times a rate of at most 1: a few units of roundoff


def of_case(case, dtype):
    def number(key):
        return jnp.asarray(case[key], dtype)

    if case["kind"] == "metz":
        names = ("learning_rate", "min_learning_rate_mult", "constant_fraction", "warmup_fraction")
        return schedules.metz(*map(number, names), case["total_steps"], case["warmup_rule"])
    return schedules.warmup_then_cosine(number("base_lr"), number("warmup_steps"), case["total_steps"])


# Float32: roundoff 6e-8 of the arguments of the cosine, whose slope is at most pi, times a rate of at most 1.
@pytest.mark.parametrize(("precision", "tolerance"), [("float64", FLOAT64), ("float32", 4 * 6e-8)])
def test_schedules_match_the_golden_file(shared, precision, tolerance):
    golden = json.loads((shared / "facts" / "nadamw_golden.json").read_text())["schedules"]
    assert {case["kind"] for case in golden} == {"metz", "linear_warmup_then_cosine_to_zero"}
    for case in golden:
        with jax.enable_x64(precision == "float64"):
            schedule = jax.jit(of_case(case, jnp.dtype(precision)))
            for step, rate in case["lr_at_step"].items():
                peak = case.get("learning_rate") or case["base_lr"]
                np.testing.assert_allclose(schedule(int(step)), rate, rtol=0, atol=tolerance * peak)


def test_warmup_then_cosine_is_what_optax_joins():
    with jax.enable_x64(True):
        theirs = optax.join_schedules(
            [optax.linear_schedule(0.0, 0.01, 49), optax.cosine_decay_schedule(0.01, 999 - 49)], [49]
        )
        ours = schedules.warmup_then_cosine(0.01, 49, 999)
        steps = jnp.arange(1100)
        np.testing.assert_allclose(ours(steps), jax.vmap(theirs)(steps), rtol=0, atol=0.01 * FLOAT64)


def test_warmup_then_constant_is_optaxs_and_constant_without_warmup():
    steps = np.arange(60)
    with jax.enable_x64(True):
        theirs = optax.warmup_constant_schedule(0.0, 0.01, 49)(steps)
        np.testing.assert_allclose(
            schedules.warmup_then_constant(0.01, 49.0)(steps), theirs, rtol=0, atol=0.01 * FLOAT64
        )
        np.testing.assert_array_equal(schedules.warmup_then_constant(0.01, 0.0)(steps), np.full(60, 0.01))


def test_adam8p_decays_by_the_ten_thousandth_of_training():
    # Half way through any training s = 5000: (1 - 5000 / 20000) * exp(-5000 / 10000).
    for steps in (100, 10_000, 30_000):
        schedule = schedules.linear_times_exponential(2.0, 1 / 20_000, 1 / 10_000, steps)
        assert float(schedule(steps // 2)) == pytest.approx(2 * 0.75 * np.exp(-0.5), rel=1e-6)


@settings(max_examples=50, deadline=None)
@given(total=st.integers(1, 2000), fraction=st.floats(0, 1, exclude_max=True))
def test_the_rate_rises_to_its_peak_and_falls_to_zero(total, fraction):
    warmup = int(fraction * total)
    # Always as many steps, since JAX compiles every shape anew.
    rates = np.asarray(schedules.warmup_then_cosine(1.0, float(warmup), total)(np.arange(2003)))
    assert np.isfinite(rates).all()
    assert rates[warmup] == 1.0
    assert (np.diff(rates[: warmup + 1]) > 0).all()
    assert (np.diff(rates[warmup:]) <= 0).all()
    np.testing.assert_allclose(rates[total:], 0, atol=1e-7)  # float32's cosine of pi


@pytest.mark.parametrize("rule", ["min", "max"])
@pytest.mark.parametrize("warmup_fraction", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("constant_fraction", [0.0, 0.2, 1.0])
def test_metz_rates_are_finite_at_every_corner_of_the_domain(rule, warmup_fraction, constant_fraction):
    schedule = schedules.metz(0.5, 0.1, constant_fraction, warmup_fraction, 10, rule)
    rates = np.asarray(schedule(np.arange(12)))
    assert np.isfinite(rates).all()
    assert (rates >= 0).all()
    assert rates.max() <= 0.5 * (1 + 1e-6)
    assert (rates[0] == 0) == (warmup_fraction > 0 and (rule == "max" or constant_fraction > 0))


def test_metz_maximum_rule_warms_up_through_the_constant_phase():
    # An entry of the list with constant .32 and warm-up 2e-5 of 1000 steps: 0.02 steps of warm-up, or 320.
    rates = {rule: schedules.metz(1.0, 0.0, 0.32, 2e-5, 1000, rule)(160) for rule in ("min", "max")}
    assert {rule: float(rate) for rule, rate in rates.items()} == pytest.approx({"min": 1.0, "max": 0.5})


def test_a_shaped_schedule_with_the_shape_of_the_others_is_theirs():
    # To the bit here; another compiler may take the power of 1 in another way.
    file = Path(__file__).resolve().parents[2] / "benchmarks" / "shaped_nadamw.py"
    point = {"learning_rate": 3e-3, "one_minus_beta1": 0.1, "one_minus_beta2": 0.01, "weight_decay": 0.1}
    params, grads, found = jnp.array([0.5, -1.0, 2.0]), jnp.array([0.3, 0.1, -0.2]), []
    for optimizer in (submissions.optimizer(f"{file}:cosine"), submissions.optimizer("nadamw_optax")):
        prepared = optimizer.prepare(point | {"warmup_fraction": 0.1}, 40)
        rule = optimizer({key: jnp.float32(value) for key, value in prepared.items()}, jnp.int32(40))

        def step(carry, _, rule=rule):
            x, state = carry
            updates, state = rule.update(grads * x, state, x)
            return (x + updates, state), x

        found.append(jax.lax.scan(step, (params, rule.init(params)), length=40)[1])
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6)
