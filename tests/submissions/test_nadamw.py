"""The NAdamW rules against golden numbers and against a NumPy program that shares no code with them."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import submissions
from submissions.optimizers import nadamw

# Float64: 50 updates of a few dozen operations on numbers of order 1, each with a roundoff of 1e-16.
FLOAT64 = 1e-13
# Float32 roundoff 6e-8, amplified by 1 / (1 - beta2) = 100 in the first corrections, over at most 50 updates.
FLOAT32 = 50 * 100 * 6e-8

START = [0.5, -1.0, 2.0]
RULE_OF = {"optax": "nadamw_optax", "algoperf": "nadamw_algoperf", "metz_code": "nadamw_metz_code"}


@pytest.fixture(scope="module")
def golden(shared):
    return json.loads((shared / "facts" / "nadamw_golden.json").read_text())


def reference(rule, *, lr, b1, b2, eps, decay, l2, use_nesterov, gradient, x, steps):
    """x after 0, 1, ..., steps updates, in NumPy float64, written from the formulas."""
    x = np.array(x, np.float64)
    m, v, path = np.zeros_like(x), np.zeros_like(x), [x]
    for t in range(1, steps + 1):
        g = gradient(t, x) - l2 * x
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        v_hat = v / (1 - b2**t)
        if rule == "optax":
            m_hat = b1 * m / (1 - b1 ** (t + 1)) + (1 - b1) * g / (1 - b1**t)
            direction = m_hat / (np.sqrt(v_hat) + eps) + decay * x
        elif rule == "algoperf":
            direction = (b1 * m + (1 - b1) * g) / (1 - b1**t) / (np.sqrt(v_hat) + eps) + decay * x
        else:
            mean = b1 * m + (1 - b1) * g if use_nesterov else m
            correction = np.sqrt(1 - b2**t) / (1 - b1**t)
            direction = correction * (mean / (np.sqrt(v) + eps) + decay * x)
        x = x - lr * direction
        path.append(x)
    return path


def run(transformation, gradient, x, steps, dtype):
    """x after 0, 1, ..., steps updates by an optax transformation."""
    x = jnp.asarray(x, dtype)
    state, path = transformation.init(x), [np.asarray(x)]
    update = jax.jit(transformation.update)
    for t in range(1, steps + 1):
        updates, state = update(jnp.asarray(gradient(t, x), dtype), state, x)
        x = optax.apply_updates(x, updates)
        path.append(np.asarray(x))
    return path


def constant_rate(rule, *, lr, b1, b2, eps, decay, l2=0.0, use_nesterov=True, dtype=jnp.float32, **switches):
    """The rule with its schedule held at lr: no warm-up, and an end of training that is never approached."""
    hp = {"learning_rate": lr, "beta1": b1, "beta2": b2, "epsilon": eps}
    if rule == "metz_code":
        hp |= {
            "adamw_weight_decay": decay,
            "l2_weight_decay": l2,
            "use_nesterov": float(use_nesterov),
            "warmup_fraction": 0.0,
            "min_learning_rate_mult": 1.0,
            "constant_fraction": 1.0,
        }
        switches = {"nesterov": "as_configured"} | switches
    else:
        hp |= {"weight_decay": decay, "warmup_steps": 0.0, "grad_clip": 0.0}
    hp = {name: jnp.asarray(value, dtype) for name, value in hp.items()}
    return getattr(nadamw, RULE_OF[rule])(hp, 2**30, **switches)


def wavy_gradient(t, x):
    return np.sin(0.7 * t + np.arange(3)) + 0.1 * np.asarray(x)


@pytest.mark.parametrize(("precision", "tolerance"), [("float64", FLOAT64), ("float32", FLOAT32)])
@pytest.mark.parametrize("rule", RULE_OF)
def test_trajectories_match_the_golden_file_and_numpy(golden, rule, precision, tolerance):
    cases = [c for c in golden["trajectories"] if c["rule"] == rule]
    assert cases
    for case in cases:
        setting = {
            "lr": case["learning_rate"],
            "b1": case["beta1"],
            "b2": case["beta2"],
            "eps": case["epsilon"],
            "decay": case["decoupled_weight_decay"],
            "l2": case["l2"],
            "use_nesterov": case["nesterov"],
        }
        expected = reference(rule, **setting, gradient=wavy_gradient, x=START, steps=50)
        with jax.enable_x64(precision == "float64"):
            dtype = jnp.dtype(precision)
            got = run(constant_rate(rule, **setting, dtype=dtype), wavy_gradient, START, 50, dtype)
        for t, x in case["x_after_t"].items():
            np.testing.assert_allclose(expected[int(t)], x, rtol=0, atol=FLOAT64)
        np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("rule", RULE_OF)
def test_updates_for_a_constant_gradient_match_the_golden_file(golden, rule):
    for case in golden["constant_gradient"]:
        b1, b2, eps = case["beta1"], case["beta2"], case["epsilon"]
        with jax.enable_x64(True):
            transformation = constant_rate(rule, lr=1.0, b1=b1, b2=b2, eps=eps, decay=0.0, dtype=jnp.float64)
            path = run(transformation, lambda t, x: np.ones(1), [0.0], 100, jnp.float64)
        for t, update in case["update_at_t"][rule].items():
            if int(t) <= 100:
                # x is a sum of up to 100 updates, so its difference carries 100 roundings relative to it.
                got = path[int(t) - 1][0] - path[int(t)][0]
                np.testing.assert_allclose(got, update, rtol=0, atol=100 * FLOAT64)


def test_the_rules_differ_as_much_as_the_facts_say():
    # By hand, t = 1 and g = 1, so m = .1: (.09 + .1) / .1 = 1.9; Optax: .09 / .19 + .1 / .1 = 1.47368.
    first = {}
    for rule in RULE_OF:
        transformation = constant_rate(rule, lr=1.0, b1=0.9, b2=0.999, eps=1e-8, decay=0.0)
        first[rule] = -run(transformation, lambda t, x: np.ones(1), [0.0], 1, jnp.float32)[1][0]
    assert first == pytest.approx({"optax": 1.47368, "algoperf": 1.9, "metz_code": 1.9}, abs=1e-4)


def test_released_sign_makes_weights_grow_and_the_papers_shrinks_them():
    # With gradient 0 only the L2 term moves x = 1: away from 0 as released, towards it as printed.
    def after_one(sign):
        transformation = constant_rate(
            "metz_code", lr=0.1, b1=0.9, b2=0.99, eps=1e-3, decay=0.0, l2=0.02, l2_sign=sign
        )
        return run(transformation, lambda t, x: np.zeros(1), [1.0], 1, jnp.float32)[1][0]

    assert after_one("released") > 1 > after_one("paper")


def test_the_papers_l2_is_the_gradient_of_the_squared_norm():
    setting = {"lr": 0.1, "b1": 0.9, "b2": 0.99, "eps": 1e-3, "decay": 0.05}
    with jax.enable_x64(True):
        transformation = constant_rate("metz_code", **setting, l2=0.02, l2_sign="paper", dtype=jnp.float64)
        got = run(transformation, wavy_gradient, START, 20, jnp.float64)
    # The reference subtracts l2 * x, so -0.04 adds 2 * 0.02 * x.
    setting |= {"l2": -0.04, "use_nesterov": True}
    expected = reference("metz_code", **setting, gradient=wavy_gradient, x=START, steps=20)
    np.testing.assert_allclose(got, expected, rtol=0, atol=FLOAT64)


@pytest.mark.parametrize(("switch", "obeyed"), [("off_as_released", False), ("as_configured", True)])
def test_nesterov_is_obeyed_only_as_configured(switch, obeyed):
    setting = {"lr": 0.1, "b1": 0.9, "b2": 0.99, "eps": 1e-3, "decay": 0.05, "nesterov": switch}
    on, off = (
        run(constant_rate("metz_code", **setting, use_nesterov=use), wavy_gradient, START, 3, jnp.float32)
        for use in (True, False)
    )
    assert np.array_equal(on, off) != obeyed


@pytest.mark.parametrize(
    ("switch", "value"), [("l2_sign", "papr"), ("nesterov", "on"), ("warmup_rule", "mean")]
)
def test_an_unknown_switch_value_is_refused_with_the_allowed_ones(switch, value):
    with pytest.raises(ValueError, match=f"{switch} is '{value}'; allowed: "):
        constant_rate("metz_code", lr=0.1, b1=0.9, b2=0.99, eps=1e-3, decay=0.0, **{switch: value})


def test_clipping_scales_the_gradient_to_the_largest_norm():
    # |(3, 4)| = 5 is cut to 1 over all parameters together; 10 and 0 (off) leave it alone.
    gradient = {"a": jnp.array([3.0]), "b": jnp.array([4.0])}
    clipped = {}
    for largest in (1.0, 10.0, 0.0):
        transformation = nadamw.clip_by_global_norm(jnp.float32(largest))
        updates, _ = transformation.update(gradient, transformation.init(gradient))
        clipped[largest] = [float(updates[name][0]) for name in "ab"]
    assert clipped[1.0] == pytest.approx([3 / (5 + 1e-6), 4 / (5 + 1e-6)], rel=1e-6)
    assert clipped[10.0] == clipped[0.0] == [3.0, 4.0]


def test_rules_refuse_hyperparameters_that_were_not_prepared():
    with pytest.raises(ValueError, match=r"warmup_steps is missing.*Optimizer\.prepare"):
        submissions.optimizer("nadamw_optax")({"learning_rate": 0.1}, 10)
