"""Trials of submissions through Ray: the contract of `test_run_contract`, with the Ray of `test_ray`."""

from __future__ import annotations

import pytest

pytest.importorskip("ray")

from tests.tuning.test_ray import cache, own, tried  # noqa: F401
from tests.tuning.test_run_contract import (
    test_trials_are_those_in_line_whatever_the_submission_does,  # noqa: F401
    test_what_a_killed_worker_had_goes_on,  # noqa: F401
    whole,  # noqa: F401
)

pytestmark = pytest.mark.slow
