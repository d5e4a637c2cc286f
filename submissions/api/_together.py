"""What the processes that train one trial together agree on: one per host, all of which make the same steps.

Process 0 says when is evaluated, what the clock shows and what a checkpoint held; any of them may ask to stop. They
talk about once a second, not at every step: an answer waits for the steps that are queued on the devices. Alone, a
process agrees with itself.
"""

from __future__ import annotations

import time
from typing import Any

import jax

from submissions.api.training import Clock
from workloads import processes

SECONDS = 1.0  # between talks


class Together:
    """The processes of a trial.

    Attributes:
      alone: there is one.
      leads: this is process 0, which writes all that is written.
    """

    def __init__(self, by_steps: bool, often: bool) -> None:
        """Nothing is said yet.

        Args:
          by_steps: evaluations are due after so many steps, which every process knows by itself.
          often: the submission looks at the clock at every step, which must be the same everywhere.
        """
        self.alone, self.leads = jax.process_count() == 1, jax.process_index() == 0
        self._by_steps, self._often = by_steps, often
        self._next, self._last = 0, (0, time.time())  # step of the next talk; step and time of the last

    def agreed(self, step: int, due: bool, stop: bool) -> tuple[bool, bool]:
        """Whether all evaluate now, and whether they stop.

        Args:
          step: made last.
          due: an evaluation is, as this process has it.
          stop: it is to stop.
        """
        if self.alone:
            return due, stop
        if step != 1 and step < self._next:
            return due and self._by_steps, False
        (before, then), now = self._last, time.time()
        wait = int(SECONDS * (step - before) / max(now - then, 1e-6))
        said = processes.said_by_all([due, stop, max(1, wait)])
        self._next, self._last = step + said[0][2], (step, time.time())
        return said[0][0], any(stops for _, stops, _ in said)

    def share(self, clock: Clock) -> None:
        """Sets the clock by process 0's."""
        if not self.alone:
            vars(clock).update(processes.of_first(vars(clock)))

    def share_if_seen(self, clock: Clock) -> None:
        """As `share`, where the submission may look at it in its next step."""
        if self._often:
            self.share(clock)

    def first(self, value: Any) -> Any:
        """A value of JSON as process 0 has it."""
        return processes.of_first(value)

    def check_alike(self, **facts: str) -> None:
        """Accepts what all processes must have alike.

        Raises:
          ValueError: they do not.
        """
        for one, said in enumerate(processes.said_by_all(facts)):
            for name, value in facts.items():
                if said[name] != value:
                    raise ValueError(
                        f"{name} of process {one} is {said[name]!r}, of process {jax.process_index()} {value!r}; one "
                        "trial needs the same everywhere"
                    )
