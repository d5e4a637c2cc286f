"""All 1,200 sampled tasks of seeds 0 to 99 and all 109 fixed ones build and train, or are rejected with a reason.

The default suite tries one member of each family and each group; `pytest -m slow tests/test_every_task.py` all.
"""

from __future__ import annotations

import jax
import numpy as np
import pytest

import workloads
from benchmarks._first_steps import first_steps
from workloads import taskset
from workloads.taskset import fixed

SAMPLED = tuple(f"taskset/{family}_seed{seed}" for family in taskset.FAMILIES for seed in range(100))
FIXED = tuple(f"taskset/{name}" for name in fixed.configs())
MEMBERS = (
    *(f"taskset/{family}_seed{seed}" for family, seed in taskset.FAMILIES.items()),
    *(f"taskset/{group[0]}" for group in fixed.groups().values()),
)


def trains(name: str) -> None:
    """Asserts that a task takes 20 finite steps, or that its reason for rejection holds."""
    reason = taskset.rejected().get(name.removeprefix("taskset/"))
    if reason is not None and reason.startswith("invalid"):
        with pytest.raises(ValueError):
            workloads.load(name)
        return
    workload = workloads.load(name)
    if reason is not None and reason.startswith("too slow"):
        assert workloads.flops_per_step(workload) > taskset.MOST_FLOPS_PER_STEP
        return
    tried = first_steps(workload)
    jax.clear_caches()
    if reason is None:
        assert tried.learning_rate is not None, tried.losses
        assert len(tried.losses) == 20
        assert np.isfinite(tried.losses).all()
    else:
        assert reason.startswith("diverges")
        assert tried.learning_rate is None


def test_there_are_1309_tasks():
    assert len(set(SAMPLED)) == 1200
    assert len(set(FIXED)) == 109


def test_every_rejected_task_is_one_of_them_and_has_a_reason():
    names = {name.removeprefix("taskset/") for name in (*SAMPLED, *FIXED)}
    kinds = ("invalid: ", "diverges: ", "too slow: ")
    assert set(taskset.rejected()) <= names
    assert all(reason.startswith(kinds) for reason in taskset.rejected().values())


def test_tasks_whose_released_curves_are_known_are_not_rejected_as_diverging():
    # Seeds of which released curves exist, so that the original did not reject them.
    survivors = {
        "char_rnn_language_model_family": (38, 39, 84, 94, 96),
        "conv_fc_family": (36, 38, 40, 70),
        "conv_pooling_family": (14, 91),
        "mlp_ae_family": (39, 48, 62),
        "mlp_family": (39, 43, 49, 78),
        "nvp_family": (75,),
        "rnn_text_classification_family": (8, 19, 58, 70, 82, 89, 96),
        "word_rnn_language_model_family": (4, 8, 39, 84, 98, 99),
    }
    names = {f"{family}_seed{seed}" for family, seeds in survivors.items() for seed in seeds}
    assert not {
        name for name in names & set(taskset.rejected()) if "too slow" not in taskset.rejected()[name]
    }


# What compiles longest; layers and first steps of all these have quick tests of their own.
LONG = (
    "FixedImageConvVAE",
    "FixedImageConvAE",
    "FixedTextRNN",
    "FixedImageConv_cifar10_32x64x64_bs128",
    "FixedMAF",
    "FixedNVP",
    "FixedLM_lm1b",
)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * any(k in n for k in LONG)) for n in MEMBERS]
)
def test_a_member_of_every_family_and_group_trains(name):
    trains(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*SAMPLED, *FIXED])
def test_every_task_trains_or_is_rejected_with_a_reason(name):
    trains(name)
