"""How every row of `submissions.OPTIMIZERS` is written down in a submission of its own.

The code is in `templates/rules` and `templates/schedules`; here is what is said of it. Optax is used where AlgoPerf's
pinned Optax 0.2.2 has the rule and lets its hyperparameters be traced; anything else is written out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class Schedule:
    """The learning rate over the updates.

    Attributes:
      sentence: what it is, with T the step hint.
      template: the function that computes it; None: the rule needs none.
    """

    sentence: str
    template: str | None


@dataclasses.dataclass(frozen=True)
class PackagedRule:
    """How a rule is explained and where its code is.

    Attributes:
      formula: one update of x; lr is the scheduled learning rate.
      source: whose rule it is.
      schedule: of lr.
      template: the code, with a function `optimizer(hp, step_hint)`.
      constants: numbers that the code reads like hyperparameters and that no point gives.
      typing: what the code imports from `typing`.
      gradient_at: the code has a function of that name, which says where the gradient is taken.
    """

    formula: str
    source: str
    schedule: Schedule
    template: str
    constants: Mapping[str, float] = dataclasses.field(default_factory=dict)
    typing: str = ""
    gradient_at: bool = False


_COSINE = Schedule(
    "Learning rate lr: with T = workload.step_hint and w = int(warmup_factor * T), it rises linearly from 0 to "
    "learning_rate over the first w updates (the first has rate 0), falls to 0 along half a cosine at update T, and "
    "stays 0.",
    "schedules/warmup_cosine.py.j2",
)
_WARMUP = Schedule(
    "Learning rate lr: with w = int(warmup_factor * workload.step_hint), it rises linearly from 0 to learning_rate "
    "over the first w updates and stays there.",
    "schedules/warmup_constant.py.j2",
)
_CONSTANT = Schedule("The learning rate is constant.", None)
_NONE = Schedule("There is no learning rate.", None)


def _metz(warmup: str) -> Schedule:
    return Schedule(
        "Learning rate lr: with T = workload.step_hint, it is learning_rate until update constant_fraction * T, then "
        "falls along half a cosine to min_learning_rate_mult * learning_rate at update T, and stays there. If "
        f"warmup_fraction > 0, it first rises linearly from 0 over {warmup}(warmup_fraction, constant_fraction) * T "
        "updates.",
        "schedules/metz.py.j2",
    )


def _decays(stretch: str) -> Schedule:
    return Schedule(
        f"Learning rate lr: learning_rate * max(1 - linear_decay * n, 0) * exp(-exponential_decay * n), {stretch}.",
        "schedules/linear_exponential.py.j2",
    )


_STRETCHED = _decays("with n the update times 10,000 / workload.step_hint")
_ALWAYS_10000 = _decays("with n the update, however long training is")

_MOMENTS = "m = b1 * m + (1 - b1) * g\nv = b2 * v + (1 - b2) * g^2\n"
_ADAMW = "x = x - lr * (u / (sqrt(v / (1 - b2^t)) + epsilon) + weight_decay * x)"
_TENSORFLOW_ADAM = (
    f"{_MOMENTS}c = sqrt(1 - b2^t) / (1 - b1^t)\nx = x - learning_rate * c * m / (sqrt(v) + epsilon)"
)
_TASKSET_ADAM = f"{_MOMENTS}u = m / (1 - b1^t)\nx = x - lr * u / (sqrt(v / (1 - b2^t) + 1e-10) + epsilon)"
_PAPER_ADAM = f"{_MOMENTS}u = m / (1 - b1^t)\nx = x - lr * u / sqrt(v / (1 - b2^t) + epsilon)"
_PENALTIES = "g = g + l1 * sign(x) + 2 * l2 * x\n"
_METZ_PAPER = "Metz et al., arXiv:2002.11887"
_MEANS = "m and v are running means of g and g^2 with beta1 and beta2"


def _adam8p(formula: str, source: str, schedule: Schedule, typing: str = "Any") -> PackagedRule:
    return PackagedRule(formula, source, schedule, "rules/adam8p.py.j2", typing=typing)


RULES = {
    "nadamw_optax": PackagedRule(
        f"{_MOMENTS}u = b1 * m / (1 - b1^(t+1)) + (1 - b1) * g / (1 - b1^t)\n{_ADAMW}",
        "This is optax.nadamw, which is the same in Optax 0.2.2 and 0.2.8; the list of Medapati et al., "
        "arXiv:2503.03986, was made for it. AlgoPerf's own NAdamW baselines correct the momentum differently.",
        _COSINE,
        "rules/nadamw_optax.py.j2",
    ),
    "nadamw_algoperf": PackagedRule(
        f"{_MOMENTS}u = (b1 * m + (1 - b1) * g) / (1 - b1^t)\n{_ADAMW}",
        "This is the rule of AlgoPerf's NAdamW baselines (Dahl et al., arXiv:2306.07179; Choi et al., "
        "arXiv:1910.05446, Table 1). optax.nadamw corrects the momentum differently: its first steps are shorter. "
        "A grad_clip > 0 first scales the whole gradient by min(1, grad_clip / (norm + 1e-6)).",
        _COSINE,
        "rules/nadamw_algoperf.py.j2",
        typing="Any",
    ),
    "nadamw_metz_code": PackagedRule(
        f"g = g - l2_weight_decay * x\n{_MOMENTS}c = sqrt(1 - b2^t) / (1 - b1^t)\n"
        "x = x - lr * c * (m / (sqrt(v) + epsilon) + adamw_weight_decay * x)",
        f"This is what the program of {_METZ_PAPER}, does, with which the curves behind their list were made. It "
        "departs from the paper's equations: epsilon stays outside the bias correction, the correction scales the "
        "weight decay too, the L2 term is subtracted from the gradient, and use_nesterov is never read.",
        _metz("min"),
        "rules/nadamw_metz_code.py.j2",
        typing="Any",
    ),
    "nadamw_metz_code_ported": PackagedRule(
        f"g = g - l2_weight_decay * x\n{_MOMENTS}"
        "u = b1 * m + (1 - b1) * g  if use_nesterov, else  u = m\n"
        "c = sqrt(1 - b2^t) / (1 - b1^t)\n"
        "x = x - lr * c * (u / (sqrt(v) + epsilon) + adamw_weight_decay * x)",
        f"This is the rule of the JAX and PyTorch programs that replay the list of {_METZ_PAPER}. It departs from "
        "the paper's equations: epsilon stays outside the bias correction, the correction scales the weight decay "
        "too, and the L2 term is subtracted from the gradient. Against the program with which the list was learnt, "
        "it obeys use_nesterov and warms up for longer.",
        _metz("max"),
        "rules/nadamw_metz_code.py.j2",
        typing="Any",
    ),
    "adam1p": PackagedRule(
        f"b1, b2, epsilon = 0.9, 0.999, 1e-8\n{_TENSORFLOW_ADAM}",
        f"This is TensorFlow 1's Adam with its own defaults, as in the program of {_METZ_PAPER}. Its epsilon stays "
        "outside the bias correction.",
        _CONSTANT,
        "rules/adam4p.py.j2",
        constants={"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
        typing="Any",
    ),
    "adam4p": PackagedRule(
        _TENSORFLOW_ADAM,
        f"This is TensorFlow 1's Adam, as in the program of {_METZ_PAPER}. Its epsilon stays outside the bias "
        "correction.",
        _CONSTANT,
        "rules/adam4p.py.j2",
        typing="Any",
    ),
    "adam6p": _adam8p(_TASKSET_ADAM, f"This is Adam6p of the program of {_METZ_PAPER}.", _STRETCHED),
    "adam6p_paper": _adam8p(
        _PAPER_ADAM,
        f"This is Adam6p of {_METZ_PAPER}, as the paper prints it, with epsilon inside the root.",
        _STRETCHED,
    ),
    "adam8p": _adam8p(
        f"{_PENALTIES}{_TASKSET_ADAM}", f"This is Adam8p of the program of {_METZ_PAPER}.", _ALWAYS_10000
    ),
    "adam8p_stretched": _adam8p(
        f"{_PENALTIES}{_TASKSET_ADAM}",
        f"This is Adam8p of the program of {_METZ_PAPER}, its decays stretched over training, as the program does "
        "for Adam6p only.",
        _STRETCHED,
    ),
    "adam8p_paper": _adam8p(
        f"{_PENALTIES}{_PAPER_ADAM}",
        f"This is Adam8p of {_METZ_PAPER}, as the paper prints it, with epsilon inside the root.",
        _STRETCHED,
    ),
    "adagrad_tf": PackagedRule(
        "a = a + g^2, from initial_accumulator_value\nx = x - learning_rate * g / sqrt(a)",
        "This is AdaGrad (Duchi et al., JMLR 12, 2011) as TensorFlow 1 has it, without an epsilon.",
        _CONSTANT,
        "rules/adagrad_tf.py.j2",
    ),
    "zero": PackagedRule(
        "x = 0",
        f"This is the baseline of {_METZ_PAPER}, that any training should beat.",
        _NONE,
        "rules/zero.py.j2",
    ),
    "adamw_optax": PackagedRule(
        f"{_MOMENTS}u = m / (1 - b1^t)\n{_ADAMW}",
        "This is optax.adamw: Loshchilov & Hutter, arXiv:1711.05101, with the decay times the learning rate.",
        _COSINE,
        "rules/adamw_optax.py.j2",
    ),
    "sgd_optax": PackagedRule(
        "g = g + weight_decay * x\nm = b1 * m + g\nu = b1 * m + g  if use_nesterov, else  u = m\nx = x - lr * u",
        "This is optax.sgd, with the switch of Nesterov's momentum as a hyperparameter (Sutskever et al., ICML 2013). "
        "The decay passes through the momentum.",
        _COSINE,
        "rules/sgd_optax.py.j2",
    ),
    "rmsprop_optax": PackagedRule(
        "v = b2 * v + (1 - b2) * g^2\nm = b1 * m + lr * g / sqrt(v + epsilon)\nx = x - m",
        "This is optax.rmsprop (Tieleman & Hinton, Coursera lecture 6.5, 2012).",
        _COSINE,
        "rules/rmsprop_optax.py.j2",
    ),
    "adagrad_optax": PackagedRule(
        "a = a + g^2, from initial_accumulator_value\nx = x - lr * g / sqrt(a + epsilon)",
        "This is optax.adagrad (Duchi et al., JMLR 12, 2011).",
        _COSINE,
        "rules/adagrad_optax.py.j2",
    ),
    "adafactor_optax": PackagedRule(
        "b2 = 1 - t^-decay_rate\n"
        "v = b2 * v + (1 - b2) * g^2; of a matrix only row and column means\n"
        "u = g / sqrt(v)\n"
        "u = u / max(1, rms(u) / clipping_threshold) * lr\n"
        "u = u * max(1e-3, rms(x))  if multiply_by_parameter_scale\n"
        "m = b1 * m + (1 - b1) * u\n"
        "x = x - m - lr * weight_decay * x",
        "This is optax.adafactor (Shazeer & Stern, arXiv:1804.04235), put together from its parts, since a point "
        "decides whether steps are relative to the parameters, and since the decay is multiplied by lr. Matrices are "
        "factored where both sides have at least 128 entries.",
        _COSINE,
        "rules/adafactor_optax.py.j2",
    ),
    "lion_optax": PackagedRule(
        "u = sign(b1 * m + (1 - b1) * g)\nm = b2 * m + (1 - b2) * g\nx = x - lr * (u + weight_decay * x)",
        "This is optax.lion (Chen et al., arXiv:2302.06675).",
        _COSINE,
        "rules/lion_optax.py.j2",
    ),
    "muon_optax": PackagedRule(
        "m = b1 * m + (1 - b1) * g\n"
        "u = b1 * m / (1 - b1^(t+1)) + (1 - b1) * g / (1 - b1^t)\n"
        "u = consistent_rms * sqrt(longer side) * orthogonalised(u)\n"
        "x = x - lr * (u + weight_decay * x)",
        "This is optax.contrib.muon of Optax 0.2.8, written out (Jordan 2024; Liu et al., arXiv:2502.16982). A "
        "convolution's kernel is a matrix of all axes but the last, and the last. What has fewer than two axes is "
        "trained by optax.nadamw with adam_beta1, adam_beta2 and the same rate and decay.",
        _COSINE,
        "rules/muon_optax.py.j2",
    ),
    "schedule_free_adamw_optax": PackagedRule(
        "y = (1 - b1) * z + b1 * x, where the gradient g is taken\n"
        "v = b2 * v + (1 - b2) * g^2\n"
        "z = z - lr * (g / (sqrt(v / (1 - b2^t)) + epsilon) + weight_decay * y)\n"
        "w = (largest lr so far, the next included)^weight_lr_power\n"
        "x = x + w / (sum of all w) * (z - x)",
        "This is optax.contrib.schedule_free_adamw of Optax 0.2.8, written out (Defazio et al., arXiv:2405.15682). "
        "AlgoPerf's parameters are the mean x, which is what is evaluated; y exists during a step only.",
        _WARMUP,
        "rules/schedule_free_adamw_optax.py.j2",
        typing="Any, NamedTuple",
        gradient_at=True,
    ),
    "prodigy_optax": PackagedRule(
        "rate = d * lr * sqrt(1 - b2^t) / (1 - b1^t), from d = estim_lr0\n"
        "r = sqrt(b2) * r + d * rate * <g, x_0 - x>; s = sqrt(b2) * s + d^2 * g\n"
        "m = b1 * m + (1 - b1) * d * g; v = b2 * v + (1 - b2) * (d * g)^2\n"
        "d = max(d, estim_lr_coef * r / |s|_1)\n"
        "x = x - rate * (m / (sqrt(v) + d * epsilon) + weight_decay * x)",
        "This is optax.contrib.prodigy of Optax 0.2.8 with its safeguard for warm-up, written out (Mishchenko & "
        "Defazio, arXiv:2306.06101). It waits for the first gradient that is not zero.",
        _COSINE,
        "rules/prodigy_optax.py.j2",
        typing="Any, NamedTuple",
    ),
    "shampoo_grafted": PackagedRule(
        "L = b2 * L + (1 - b2) * G G^T, R = b2 * R + (1 - b2) * G^T G\n"
        "u = L^(-1/4) m R^(-1/4), scaled to the norm of Adam's update\n"
        "x = x - lr * (u + weight_decay * x)",
        "This is Shampoo (Gupta et al., arXiv:1802.09568) with Adam's step length (Anil et al., arXiv:2002.09018); "
        f"{_MEANS}. Sides longer than 256 are left alone, vectors are trained by Adam. The roots are of L and R over "
        "their Frobenius norms plus matrix_epsilon; they come from a coupled Newton iteration of matrix products, two "
        "steps an update, and are 12 to 24 updates late.",
        _COSINE,
        "rules/shampoo_grafted.py.j2",
        typing="Any, NamedTuple",
    ),
}
