"""A user's optimizer that fails says so with the user's own line, which call, and what was expected."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest

import submissions
from submissions import Seen

HEAD = """import jax
import optax
import submissions

@submissions.register("{name}", learning_rate=(1e-3, 1.0, "log"))
def mine(hyperparameters, horizon):
    {body}
"""
RULE = """import submissions

@submissions.register("{name}", learning_rate=(1e-3, 1.0, "log"))
def mine():
    return {body}
"""
OF_UPDATE = "return optax.GradientTransformation(optax.sgd(1.0).init, {})"


def step(file, name: str, text: str, body: str) -> None:
    """Traces a first step, as a study does before it trains."""
    file.write_text(text.format(name=name, body=body))
    rule = submissions.optimizer(f"{file}:mine").rule
    params = {"w": jnp.zeros((3,)), "b": jnp.zeros(())}
    seen = Seen(jnp.float32(0), jnp.int32(0), jax.random.key(0))

    def both(hyperparameters, params):
        state = rule.init((), hyperparameters, params, jax.random.key(0), jnp.int32(10))
        return rule.update((), hyperparameters, params, state, params, seen)

    jax.eval_shape(both, {"learning_rate": jnp.float32(0.1)}, params)


@pytest.mark.parametrize(
    ("body", "line", "message"),
    [
        ("pass", 5, "init of mine: returned a NoneType; must return an optax.GradientTransformation"),
        ('return optax.sgd(hyperparameters["rate"])', 7, "KeyError: 'rate'; its hyperparameters are learning_rate"),
        ("return optax.nothing()", 7, "init of mine: AttributeError: module 'optax' has no attribute 'nothing'"),
        ('return optax.sgd(float(hyperparameters["learning_rate"]))', 7, "write jnp.where instead of 'if'"),
        ("raise SystemExit(0)", 7, "init of mine: SystemExit: 0"),
        (OF_UPDATE.format("lambda *a: 1 / 0"), 7, "update of mine: ZeroDivisionError: division by zero"),
        (OF_UPDATE.format("lambda g, s, p=None: g"), 5, "update of mine: "),
        (OF_UPDATE.format("lambda g, s, p=None: ({}, s)"), 5, "its updates tree has another structure than params"),
        (OF_UPDATE.format("lambda g, s, p=None: (g, (s, s))"), 5, "its new state has another structure"),
        (
            OF_UPDATE.format("lambda g, s, p=None: (jax.tree.map(lambda x: x[None], g), s)"), 5,
            r"its updates tree\['b'\] is float32\[1\]; must be float32\[\], as params",
        ),
    ],
)  # fmt: skip
def test_a_failing_transformation_is_told_with_the_users_line(tmp_path, body, line, message, request):
    file = tmp_path / "mine.py"
    with pytest.raises(ValueError, match=message) as caught:
        step(file, f"t{abs(hash(request.node.name))}", HEAD, body)
    assert str(caught.value).startswith(f"{file}, line {line}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("3", "returned a int; must return a submissions.Rule"),
        ("submissions.Rule(lambda *a: (), lambda *a: 1)", r"returned a int; must return \(updates, state\)"),
        ("submissions.Rule(lambda *a: a[9], None)", "init of mine: IndexError"),
    ],
)
def test_a_failing_rule_is_told_with_the_users_line(tmp_path, body, message, request):
    with pytest.raises(ValueError, match=message) as caught:
        step(tmp_path / "mine.py", f"r{abs(hash(request.node.name))}", RULE, body)
    assert str(caught.value).startswith(f"{tmp_path / 'mine.py'}, line ")


def test_a_state_of_python_numbers_is_carried_on(tmp_path):
    body = OF_UPDATE.replace("optax.sgd(1.0).init", "lambda p: 0").format("lambda g, s, p=None: (g, s + 1)")
    step(tmp_path / "mine.py", "counts_in_python", HEAD, body)
