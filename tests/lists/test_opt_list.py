"""Published lists as optimizers, against a NumPy float64 program that shares no code with them."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lists
from submissions.taskset_grids import grid_point

STEPS = 50
START = np.array([0.5, -1.0, 2.0])
# 50 updates of a few dozen operations on numbers of order 1 in float64, amplified by up to 1 / (1 - beta2) = 1e5,
# the grid's bound, in the first corrections: 50 * 30 * 1e-16 * 1e5.
TOLERANCE = 2e-8


def gradient(t, x):
    return np.sin(0.7 * t + np.arange(3)) + 0.1 * x


def metz_rate(e, s, f):
    """Constant, then half a cosine; a warm-up over the first f of training, if the entry has one."""
    constant, lr = STEPS * e["constant_fraction"], e["learning_rate"]
    if e["warmup_fraction"] > 0 and s < STEPS * f:
        return lr * s / (STEPS * f)
    low = e["min_learning_rate_mult"] * lr
    return (lr - low) * (np.cos(np.pi * (max(s, constant) - constant) / (STEPS - constant)) / 2 + 0.5) + low


def metz_path(e, ported):
    x, m, v, path = START, 0.0, 0.0, [START]
    fraction = (max if ported else min)(e["warmup_fraction"], e["constant_fraction"])
    for t in range(1, STEPS + 1):
        g = gradient(t, x) - e["l2_weight_decay"] * x
        m, v = e["beta1"] * m + (1 - e["beta1"]) * g, e["beta2"] * v + (1 - e["beta2"]) * g * g
        ahead = e["beta1"] * m + (1 - e["beta1"]) * g if ported and e["use_nesterov"] else m
        step = ahead / (np.sqrt(v) + e["epsilon"]) + e["adamw_weight_decay"] * x
        correction = np.sqrt(1 - e["beta2"] ** t) / (1 - e["beta1"] ** t)
        x = x - metz_rate(e, t - 1, fraction) * correction * step
        path.append(x)
    return path


def medapati_path(e):
    x, m, v, path = START, 0.0, 0.0, [START]
    b1, b2, warmup = e["beta1"], e["beta2"], int(e["warmup_fraction"] * STEPS)
    for t in range(1, STEPS + 1):
        g, s = gradient(t, x), t - 1
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        ahead = b1 * m / (1 - b1 ** (t + 1)) + (1 - b1) * g / (1 - b1**t)
        shape = s / warmup if s < warmup else (1 + np.cos(np.pi * (s - warmup) / (STEPS - warmup))) / 2
        step = ahead / (np.sqrt(v / (1 - b2**t)) + 1e-8) + e["weight_decay"] * x
        x = x - e["learning_rate"] * shape * step
        path.append(x)
    return path


def path_of(make):
    """x after 0, 1, ... updates; `make` is called inside, so that its constants are float64 too."""
    with jax.enable_x64(True):
        transformation, x = make(), jnp.asarray(START)
        state, path = transformation.init(x), [START]
        update = jax.jit(transformation.update)
        for t in range(1, STEPS + 1):
            updates, state = update(jnp.asarray(gradient(t, np.asarray(x))), state, x)
            x = optax.apply_updates(x, updates)
            path.append(np.asarray(x))
    return path


# Seeds by position, from the published orders; 741 sets everything.
@pytest.mark.parametrize("ported", [True, False])
@pytest.mark.parametrize(
    ("order", "index", "seed"),
    [("opt_list", 0, 251), ("opt_list", 1, 611), ("opt_list", 15, 741), ("appendix_f", 0, 743)],
)
def test_entries_of_metz_list_train_as_their_equations_say(order, index, seed, ported):
    rule = "nadamw_metz_code_ported" if ported else "nadamw_metz_code"
    got = path_of(lambda: lists.opt_list(index, STEPS, order, rule=rule))
    expected = metz_path(grid_point("nadamw_grid", seed), ported)
    np.testing.assert_allclose(got, expected, rtol=0, atol=TOLERANCE)


def test_an_entry_above_sets_everything_that_tells_the_rules_apart():
    entry = grid_point("nadamw_grid", 741)
    told_apart = ("warmup_fraction", "use_nesterov", "l2_weight_decay", "adamw_weight_decay")
    assert all(entry[key] for key in told_apart)


def test_the_default_is_the_shipped_order_with_the_rule_of_the_ports():
    default = path_of(lambda: lists.opt_list(1, STEPS))
    np.testing.assert_array_equal(
        default, path_of(lambda: lists.opt_list(1, STEPS, "opt_list", rule="nadamw_metz_code_ported"))
    )


@pytest.mark.parametrize("index", [0, 2])
def test_entries_of_medapatis_list_train_as_their_equations_say(index):
    entry = lists.published("medapati2025").points[index].hyperparameters
    got = path_of(lambda: lists.medapati(index, STEPS))
    np.testing.assert_allclose(got, medapati_path(entry), rtol=0, atol=TOLERANCE)


def name_of(index: int) -> str:
    """The point of an entry, which a refusal names."""
    with pytest.raises(ValueError, match="total_steps") as refused:
        lists.opt_list(index, 0)
    return str(refused.value).split(":")[0]


def test_the_thousand_seeds_are_the_shipped_order(shared):
    orders = json.loads((shared / "facts" / "opt_list_order.json").read_text())
    names = [f"nadamw_grid_seed{n}" for n in orders["current_opt_list_package_and_learned_optimization"]]
    assert [name_of(index) for index in range(1000)] == names


def test_the_stored_orders_agree_where_both_are_stored():
    assert [name_of(index) for index in range(50)] == [
        point.id for point in lists.published("metz2020/opt_list").points
    ]


def test_the_last_entries_exist_and_the_ones_after_do_not():
    assert lists.opt_list(999, 10).init({})
    assert lists.opt_list(49, 10, "appendix_f").init({})
    for call, message in [
        (lambda: lists.opt_list(1000, 10), "index is 1000; metz2020/opt_list has entries 0 to 999"),
        (lambda: lists.opt_list(-1, 10), "index is -1"),
        (lambda: lists.opt_list(50, 10, "appendix_f"), "metz2020/appendix_f has entries 0 to 49"),
        (lambda: lists.opt_list(0, 10, "paper"), "order is 'paper'; allowed: 'opt_list', 'appendix_f'"),
        (lambda: lists.opt_list(0, 10, rule="nadamw_optax"), "rule is 'nadamw_optax'; allowed: "),
        (lambda: lists.opt_list(0, 0), "nadamw_grid_seed251: total_steps is 0; must be at least 1"),
        (lambda: lists.medapati(5, 10), "index is 5; medapati2025 has entries 0 to 4"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()
