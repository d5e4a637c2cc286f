"""The table of optimizers. A new one is a row here and a rule in a module of its own."""

from __future__ import annotations

from submissions.optimizers import _search_spaces as spaces
from submissions.optimizers._hyperparameters import (
    ABOVE_ZERO_BELOW_ONE,
    BELOW_ONE,
    NOT_NEGATIVE,
    POSITIVE,
    RIDGE,
    SWITCH,
    UP_TO_ONE,
    Hyperparameter,
    Optimizer,
)

_RATE = Hyperparameter("learning_rate", POSITIVE)
_BETA1 = Hyperparameter("beta1", BELOW_ONE, 0.9)
_BETA2 = Hyperparameter("beta2", BELOW_ONE, 0.999)
_EPSILON = Hyperparameter("epsilon", NOT_NEGATIVE, 1e-8)
_NO_DECAY = Hyperparameter("weight_decay", NOT_NEGATIVE, 0.0)
# No library sets a warm-up: the middle of Medapati et al., Table 1.
_WARMUP = Hyperparameter("warmup_fraction", BELOW_ONE, 0.05)

# Defaults: those of optax.nadamw and optax.adamw.
_WARMUP_COSINE = (
    _RATE,
    _BETA1,
    _BETA2,
    _EPSILON,
    Hyperparameter("weight_decay", NOT_NEGATIVE, 1e-4),
    _WARMUP,
)

# Defaults: a constant learning rate and no decay of any kind; the entries of Metz' list give every value.
_METZ = (
    _RATE,
    _BETA1,
    _BETA2,
    _EPSILON,
    Hyperparameter("use_nesterov", SWITCH, 0.0),
    Hyperparameter("adamw_weight_decay", NOT_NEGATIVE, 0.0),
    Hyperparameter("l2_weight_decay", NOT_NEGATIVE, 0.0),
    Hyperparameter("warmup_fraction", UP_TO_ONE, 0.0),
    Hyperparameter("min_learning_rate_mult", UP_TO_ONE, 1.0),
    Hyperparameter("constant_fraction", UP_TO_ONE, 1.0),
)

# Defaults: TensorFlow's Adam, and neither decay nor penalty, so that each rule contains the one before it.
_ADAM4P = (_RATE, _BETA1, _BETA2, _EPSILON)
_DECAYS = (
    Hyperparameter("linear_decay", NOT_NEGATIVE, 0.0),
    Hyperparameter("exponential_decay", NOT_NEGATIVE, 0.0),
)
_ADAM6P = (*_ADAM4P, *_DECAYS)
_PENALTIES = (Hyperparameter("l1", NOT_NEGATIVE, 0.0), Hyperparameter("l2", NOT_NEGATIVE, 0.0))
_ADAM8P = (*_ADAM4P, *_PENALTIES, *_DECAYS)

_TASKSET = "TaskSet's program: Metz et al. 2020, arXiv:2002.11887"

_NADAMW = (
    Optimizer(
        "nadamw_optax",
        "submissions.optimizers._nadamw:nadamw_optax",
        _WARMUP_COSINE,
        "optax.nadamw; the rule of Medapati et al. 2025, arXiv:2503.03986",
    ),
    Optimizer(
        "nadamw_algoperf",
        "submissions.optimizers._nadamw:nadamw_algoperf",
        (*_WARMUP_COSINE, Hyperparameter("grad_clip", NOT_NEGATIVE, 0.0)),
        "the NAdamW baselines of AlgoPerf, Dahl et al. 2023, arXiv:2306.07179",
    ),
    Optimizer(
        "nadamw_metz_code",
        "submissions.optimizers._nadamw:nadamw_metz_code",
        _METZ,
        "TaskSet's program as its curves were released: Metz et al. 2020, arXiv:2002.11887",
        options={"l2_sign": "released", "nesterov": "off_as_released", "warmup_rule": "min"},
        whole_warmup_steps=False,
        search_space=spaces.NADAMW_METZ,
    ),
    Optimizer(
        "nadamw_metz_code_ported",
        "submissions.optimizers._nadamw:nadamw_metz_code",
        _METZ,
        "opt_list for JAX and PyTorch, and OptList of learned_optimization: arXiv:2002.11887",
        options={"l2_sign": "released", "nesterov": "as_configured", "warmup_rule": "max"},
        whole_warmup_steps=False,
        search_space=spaces.NADAMW_METZ,
    ),
)

_OF_TASKSET = (
    Optimizer(
        "adam1p",
        "submissions.optimizers._taskset:adam1p",
        (_RATE,),
        f"TensorFlow 1's Adam, in {_TASKSET}",
        whole_warmup_steps=False,
        search_space=spaces.ADAM1P,
    ),
    Optimizer(
        "adam4p",
        "submissions.optimizers._taskset:adam4p",
        _ADAM4P,
        f"TensorFlow 1's Adam, in {_TASKSET}",
        whole_warmup_steps=False,
        search_space=spaces.ADAM4P,
    ),
    Optimizer(
        "adam6p",
        "submissions.optimizers._taskset:adam6p",
        _ADAM6P,
        _TASKSET,
        options={"adam8p_steps": "training_steps", "adam8p_epsilon": "outside"},
        whole_warmup_steps=False,
        search_space=spaces.ADAM6P,
        applies_constraints=False,
    ),
    Optimizer(
        "adam6p_paper",
        "submissions.optimizers._taskset:adam6p",
        _ADAM6P,
        "Metz et al. 2020, arXiv:2002.11887, as its appendix prints epsilon",
        options={"adam8p_steps": "training_steps", "adam8p_epsilon": "paper_inside"},
        whole_warmup_steps=False,
        search_space=spaces.ADAM6P,
        applies_constraints=False,
    ),
    Optimizer(
        "adam8p",
        "submissions.optimizers._taskset:adam8p",
        _ADAM8P,
        f"{_TASKSET}; decays as over 10,000 steps whatever the number of steps",
        options={"adam8p_steps": "always_10000", "adam8p_epsilon": "outside"},
        whole_warmup_steps=False,
        search_space=spaces.ADAM8P,
        applies_constraints=False,
    ),
    Optimizer(
        "adam8p_stretched",
        "submissions.optimizers._taskset:adam8p",
        _ADAM8P,
        f"{_TASKSET}; decays stretched over training, as its adam6p does",
        options={"adam8p_steps": "training_steps", "adam8p_epsilon": "outside"},
        whole_warmup_steps=False,
        search_space=spaces.ADAM8P,
        applies_constraints=False,
    ),
    Optimizer(
        "adam8p_paper",
        "submissions.optimizers._taskset:adam8p",
        _ADAM8P,
        "Metz et al. 2020, arXiv:2002.11887, as its appendix prints epsilon; decays stretched over training",
        options={"adam8p_steps": "training_steps", "adam8p_epsilon": "paper_inside"},
        whole_warmup_steps=False,
        search_space=spaces.ADAM8P,
        applies_constraints=False,
    ),
    Optimizer(
        "adagrad_tf",
        "submissions.optimizers._taskset:adagrad_tf",
        (_RATE, Hyperparameter("initial_accumulator_value", POSITIVE, 0.1)),  # TensorFlow's default
        f"TensorFlow 1's AdaGrad, in {_TASKSET}",
        whole_warmup_steps=False,
        search_space=spaces.ADAGRAD_TF,
    ),
    Optimizer(
        "zero",
        "submissions.optimizers._taskset:zero",
        (),
        f"all weights 0, in {_TASKSET}",
        whole_warmup_steps=False,
    ),
)

# Defaults: Optax's, where it has any; momentum .9 and no decay otherwise.
_OF_OPTAX = (
    Optimizer(
        "adamw_optax",
        "submissions.optimizers._optax:adamw_optax",
        _WARMUP_COSINE,
        "optax.adamw; Loshchilov & Hutter 2019, arXiv:1711.05101",
        search_space=spaces.ADAMW,
    ),
    Optimizer(
        "sgd_optax",
        "submissions.optimizers._optax:sgd_optax",
        (_RATE, _BETA1, Hyperparameter("use_nesterov", SWITCH, 0.0), _NO_DECAY, _WARMUP),
        "optax.sgd; Sutskever et al. 2013, ICML",
        search_space=spaces.SGD,
    ),
    Optimizer(
        "rmsprop_optax",
        "submissions.optimizers._optax:rmsprop_optax",
        (
            _RATE,
            Hyperparameter("beta1", BELOW_ONE, 0.0),
            Hyperparameter("beta2", BELOW_ONE, 0.9),
            _EPSILON,
            _WARMUP,
        ),
        "optax.rmsprop; Tieleman & Hinton 2012, lecture 6.5",
        search_space=spaces.RMSPROP,
    ),
    Optimizer(
        "adagrad_optax",
        "submissions.optimizers._optax:adagrad_optax",
        (
            _RATE,
            Hyperparameter("initial_accumulator_value", NOT_NEGATIVE, 0.1),
            Hyperparameter("epsilon", NOT_NEGATIVE, 1e-7),
            _WARMUP,
        ),
        "optax.adagrad; Duchi et al. 2011, JMLR 12",
        search_space=spaces.ADAGRAD,
    ),
    Optimizer(
        "adafactor_optax",
        "submissions.optimizers._optax:adafactor_optax",
        (
            _RATE,
            Hyperparameter("beta1", BELOW_ONE, 0.0),
            Hyperparameter("decay_rate", ABOVE_ZERO_BELOW_ONE, 0.8),
            Hyperparameter("clipping_threshold", POSITIVE, 1.0),
            Hyperparameter("multiply_by_parameter_scale", SWITCH, 1.0),
            _NO_DECAY,
            _WARMUP,
        ),
        "optax.adafactor; Shazeer & Stern 2018, arXiv:1804.04235",
        search_space=spaces.ADAFACTOR,
    ),
    Optimizer(
        "lion_optax",
        "submissions.optimizers._optax:lion_optax",
        (
            _RATE,
            _BETA1,
            Hyperparameter("beta2", BELOW_ONE, 0.99),
            Hyperparameter("weight_decay", NOT_NEGATIVE, 1e-3),
            _WARMUP,
        ),
        "optax.lion; Chen et al. 2023, arXiv:2302.06675",
        search_space=spaces.LION,
    ),
    Optimizer(
        "muon_optax",
        "submissions.optimizers._optax:muon_optax",
        (
            _RATE,
            Hyperparameter("beta1", BELOW_ONE, 0.95),
            Hyperparameter("consistent_rms", POSITIVE, 0.2),
            Hyperparameter("adam_beta1", BELOW_ONE, 0.9),
            Hyperparameter("adam_beta2", BELOW_ONE, 0.999),
            _EPSILON,
            _NO_DECAY,
            _WARMUP,
        ),
        "optax.contrib.muon; Jordan 2024; Liu et al. 2025, arXiv:2502.16982",
        search_space=spaces.MUON,
    ),
    Optimizer(
        "schedule_free_adamw_optax",
        "submissions.optimizers._optax:schedule_free_adamw_optax",
        (
            _RATE,
            Hyperparameter("beta1", ABOVE_ZERO_BELOW_ONE, 0.9),
            _BETA2,
            _EPSILON,
            _NO_DECAY,
            Hyperparameter("weight_lr_power", NOT_NEGATIVE, 2.0),
            _WARMUP,
        ),
        "optax.contrib.schedule_free_adamw; Defazio et al. 2024, arXiv:2405.15682",
        search_space=spaces.SCHEDULE_FREE_ADAMW,
        evaluated="submissions.optimizers._optax:schedule_free_mean",
    ),
    Optimizer(
        "prodigy_optax",
        "submissions.optimizers._optax:prodigy_optax",
        (
            Hyperparameter("learning_rate", POSITIVE, 1.0),
            _BETA1,
            _BETA2,
            _EPSILON,
            _NO_DECAY,
            Hyperparameter("estim_lr0", POSITIVE, 1e-6),
            Hyperparameter("estim_lr_coef", POSITIVE, 1.0),
            _WARMUP,
        ),
        "optax.contrib.prodigy; Mishchenko & Defazio 2023, arXiv:2306.06101",
        search_space=spaces.PRODIGY,
    ),
)

_OF_OTHERS = (
    Optimizer(
        "shampoo_grafted",
        "submissions.optimizers._shampoo:shampoo_grafted",
        (_RATE, _BETA1, _BETA2, _EPSILON, Hyperparameter("matrix_epsilon", RIDGE, 1e-6), _NO_DECAY, _WARMUP),
        "Gupta et al. 2018, arXiv:1802.09568, with Adam's step length as in Anil et al. 2020, arXiv:2002.09018",
        search_space=spaces.SHAMPOO,
    ),
)

OPTIMIZERS = {row.name: row for row in (*_NADAMW, *_OF_TASKSET, *_OF_OPTAX, *_OF_OTHERS)}
