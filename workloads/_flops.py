"""Floating-point operations of a training step, counted in its program, not measured."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from workloads._workload import Regularization, Workload

if TYPE_CHECKING:
    import jax


def flops_per_step(workload: Workload) -> int:
    """Operations of the matrix products and convolutions in a step's loss and gradient, for one trial.

    A multiplication with its addition counts as two. The body of a scan counts once per turn, work that is done again
    on the way back (`jax.checkpoint`) counts again, and of a conditional the dearest branch counts. Elementwise work,
    random draws, look-ups, the optimizer's update and the data's transform are not counted, so an objective without
    products costs 0. Nothing is compiled or computed: only shapes are traced.

    Raises:
      ValueError: products stand in a loop whose number of turns is known only when it runs.
    """
    import jax

    params, model_state = jax.eval_shape(workload.init, jax.random.key(0))

    def loss(params, model_state, batch, key):
        return workload.loss(params, model_state, batch, key, True, Regularization())

    step = jax.value_and_grad(loss, has_aux=True)
    program = jax.make_jaxpr(step)(params, model_state, batch_shapes(workload), jax.random.key(0))
    return count(program.jaxpr)


def batch_shapes(workload: Workload) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes and types of a training batch as the model sees it."""
    return workload.data.shapes(workload.eval_splits["train"], workload.batch_size)


def count(jaxpr: Any) -> int:
    """Operations of the products and convolutions of a `jax.core.Jaxpr`, see `flops_per_step`."""
    total = 0
    for equation in jaxpr.eqns:
        name, parameters = equation.primitive.name, equation.params
        if name == "dot_general":
            total += _product(equation)
        elif name == "conv_general_dilated":
            total += _convolution(equation)
        elif name == "scan":
            total += parameters["length"] * count(parameters["jaxpr"].jaxpr)
        elif name == "while":
            once = sum(map(count, _inner(parameters)))
            if once:
                raise ValueError(
                    f"{once} operations stand in a while loop, whose turns are known only when it runs; use lax.scan"
                )
        elif name == "cond":
            total += max(map(count, _inner(parameters)))
        else:
            total += sum(map(count, _inner(parameters)))
    return total


def _product(equation: Any) -> int:
    """2 * outputs * the length of what is summed over."""
    (summed, _), _ = equation.params["dimension_numbers"]
    left = equation.invars[0].aval.shape
    return 2 * math.prod(equation.outvars[0].aval.shape) * math.prod(left[axis] for axis in summed)


def _convolution(equation: Any) -> int:
    """2 * outputs * entries of the kernel that make one of them; padding counts like input.

    The gradient with respect to the input is a convolution of an input that holes were put into ("lhs_dilation"): one
    entry in prod(lhs_dilation) is no hole, and only these count. Likewise for the kernel's gradient, whose
    kernel has holes only in its steps, which cost nothing.
    """
    kernel = equation.invars[1].aval.shape
    output_axis = equation.params["dimension_numbers"].rhs_spec[0]
    per_output = math.prod(kernel) // kernel[output_axis]
    holes = math.prod(equation.params["lhs_dilation"])
    return 2 * math.prod(equation.outvars[0].aval.shape) * per_output // holes


def _inner(parameters: dict[str, Any]) -> list[Any]:
    """The programs among an equation's parameters, such as the body of a `jit` or `jax.checkpoint`."""
    found = []
    for value in parameters.values():
        for one in value if isinstance(value, (tuple, list)) else (value,):
            one = getattr(one, "jaxpr", one)  # of a closed program
            if hasattr(one, "eqns"):
                found.append(one)
    return found
