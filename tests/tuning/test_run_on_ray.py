"""Trials of submissions through Ray: the contract of `test_run_contract`, with the Ray of `test_ray`; and targets."""

from __future__ import annotations

import pytest

pytest.importorskip("ray")

from tests.tuning import test_run_contract, test_targets
from tests.tuning.test_ray import cache, own, tried  # noqa: F401
from tests.tuning.test_run_contract import (
    test_a_killed_coordinator_goes_on_where_it_was,  # noqa: F401
    test_a_worker_that_hangs_is_given_up_at_its_deadline,  # noqa: F401
    test_the_first_interrupt_has_trials_save_what_they_have_made_and_end,  # noqa: F401
    test_trials_are_those_in_line_whatever_the_submission_does,  # noqa: F401
    test_what_a_killed_worker_had_goes_on,  # noqa: F401
    whole,  # noqa: F401
)

pytestmark = pytest.mark.slow


def test_it_is_under_the_whole_contract():
    contract = {name for name in vars(test_run_contract) if name.startswith("test_")}
    of_processes = {"test_a_second_interrupt_ends_workers_and_their_trials"}
    assert contract - of_processes <= set(globals())


def test_targets_are_those_in_line(tried, tmp_path):  # noqa: F811
    ways = {"ray": tried[1], "inline": {}}
    ray, inline = (
        test_targets.set_target(tmp_path / name, test_targets.REFERENCE, seeds=3, **how)
        for name, how in ways.items()
    )
    assert ray == inline
