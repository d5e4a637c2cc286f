"""How a trial ends: one closed list of words, whoever trained it. Needs no JAX."""

from __future__ import annotations

from typing import Literal, get_args

Status = Literal["done", "diverged", "timeout", "stopped", "crashed", "interrupted"]
# done         made all its steps, or reached its targets
# diverged     a loss, or a validation metric of the last evaluation, that is not finite: whatever else ended it
# timeout      the runtime budget was used up, the target was not reached
# stopped      the submission ended its training itself, or the strategy did, as others were better; what it had
#              reached by then counts
# crashed      an error was raised, or the process died
# interrupted  cut off from outside; it can be resumed
STATUSES: tuple[Status, ...] = get_args(Status)
