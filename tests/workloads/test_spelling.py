"""A name that does not exist is answered with one that may have been meant, and with none that was not."""

from __future__ import annotations

import pytest

from submissions import OPTIMIZERS
from workloads.spelling import closest, did_you_mean


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("adamw", "adamw_optax"),
        ("nadamw", "nadamw_optax"),
        ("lion_optx", "lion_optax"),
        ("muon_opatx", "muon_optax"),
        ("adam8", "adam8p"),
        ("lino_optax", "lion_optax"),
        ("xyz", None),
        ("sgd8p", None),
        ("a", None),
        ("", None),
    ],
)
def test_optimizers_are_suggested_where_they_are_near(name, meant):
    assert did_you_mean(name, OPTIMIZERS) == (f"; did you mean {meant!r}?" if meant else "")


def test_two_are_offered_among_many():
    names = ["taskset/mlp_family_seed1", "taskset/mlp_family_seed12", "digits/conv"]
    assert closest("taskset/mlp_famly_seed1", names, "none").startswith(
        "did you mean 'taskset/mlp_family_seed1' or "
    )
    assert closest("imagenet", names, "see the list") == "see the list"
