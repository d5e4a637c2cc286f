"""Weights that come with the program: there, with the record of their training, and by their name alone."""

from __future__ import annotations

import json

import jax
import jax.numpy as jnp
import pytest

import submissions
from submissions import Seen
from submissions.learned import LEARNED, has_shipped_weights, weight_files
from submissions.learned._table import SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_the_name_alone_means_weights_that_come_with_the_record_of_their_training(name):
    optimizer = submissions.optimizer(name)
    assert isinstance(optimizer, submissions.LearnedOptimizer)
    assert optimizer.sha256 == weight_files.read(SHIPPED[name]).sha256
    folder = SHIPPED[name].parent
    assert sum(file.stat().st_size for file in folder.iterdir()) < 1e6
    last = weight_files.read(SHIPPED[name]).around["step"]
    descriptions = sorted(folder.glob("meta_training_*.json"))
    assert descriptions
    for number, file in enumerate(descriptions, 1):
        said = json.loads(file.read_text())
        assert said["plan"]["optimizer"] == name
        assert said["made_by"]["device"]
        assert all(data.startswith("synthetic") or data for data in said["data"].values())
        rows = [json.loads(row) for row in (folder / f"record_{number}.jsonl").read_text().splitlines()]
        trained = [row["outer_step"] for row in rows if "meta_loss" in row]
        assert trained == sorted(trained)
    assert trained[-1] == last


def test_the_name_stays_what_a_study_keeps_wherever_the_program_is():
    plain = "controlled_adam,weight_decay=1e-06"
    path = f"{plain}@{SHIPPED['controlled_adam']}"
    assert submissions.portable_name("controlled_adam") == "controlled_adam"
    assert submissions.portable_name(plain) == submissions.portable_name(path) == plain
    assert has_shipped_weights(path)
    assert not has_shipped_weights("controlled_adam@other.msgpack")
    assert (
        submissions.recorded_name("controlled_adam")
        == f"controlled_adam@{SHIPPED['controlled_adam'].resolve()}"
    )


def test_another_learned_optimizer_still_needs_weights():
    with pytest.raises(ValueError, match=r"celo is a learned optimizer, which needs trained weights"):
        submissions.optimizer("celo")


def test_trained_it_is_ahead_of_what_it_was_before():
    """On a quadratic whose curvatures span four orders of magnitude, and whose minimum is far away."""
    curvatures, minimum = jnp.logspace(-2, 2, 20), jnp.linspace(-30.0, 30.0, 20)
    loss = lambda p: jnp.sum(curvatures * (p["x"] - minimum) ** 2)  # noqa: E731
    rule = submissions.optimizer("controlled_adam").rule  # type: ignore[attr-defined]

    @jax.jit
    def last(weights):
        def step(carry, t):
            p, state = carry
            value, g = jax.value_and_grad(loss)(p)
            updates, state = rule.update(weights, {}, g, state, p, Seen(value, t, None))
            return (jax.tree.map(jnp.add, p, updates), state), value

        start = {"x": jnp.ones(20)}
        return jax.lax.scan(step, (start, rule.init(weights, {}, start, None, 100)), jnp.arange(100))[1][-1]

    before = LEARNED["controlled_adam"].initial(jax.random.key(0))
    # Adam at .003 has no time to get there; these make their steps longer.
    assert last(rule.weights) < 0.6 * last(before)
