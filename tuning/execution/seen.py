"""What a coordinator has seen of its workers, for whoever shows it. Nothing here needs JAX."""

from __future__ import annotations

import dataclasses
from collections import Counter, deque

from tuning.execution.jobs import Done, OutOfMemory, Refused, WorkerLost

LOST_SHOWN = 3


@dataclasses.dataclass
class Seen:
    """Filled by the coordinator, as it goes.

    Attributes:
      workers: places now.
      under_way: jobs that are with the executor.
      jobs, trials: done.
      of: (host, device) -> trials that it made.
      retries: cause -> how often something was tried again.
      lost: the workers that were lost last, or why.
      refused: what workers said that refused and went.
      made: what workers make.
      said: what else is to be shown, by whoever asked for the jobs.
    """

    workers: int = 0
    under_way: int = 0
    jobs: int = 0
    trials: int = 0
    of: Counter[tuple[str, str]] = dataclasses.field(default_factory=Counter)
    retries: Counter[str] = dataclasses.field(default_factory=Counter)
    refused: list[str] = dataclasses.field(default_factory=list)
    lost: deque[str] = dataclasses.field(default_factory=lambda: deque(maxlen=LOST_SHOWN))
    made: str = "trials"
    said: str = ""

    def done(self, done: Done) -> None:
        """Counts a job."""
        self.jobs += 1
        self.trials += done.trials
        self.of[done.host, done.device] += done.trials

    def retried(self, error: Exception) -> None:
        """Counts what is tried again."""
        match error:
            case WorkerLost():
                self.retries[f"lost ({error.cause})"] += 1
                if error.cause != "unsent":
                    self.lost.append(error.worker or str(error))
            case OutOfMemory():
                self.retries["out of memory"] += 1
            case Refused():
                self.retries["refused"] += 1
                self.lost.append(str(error))
            case _:
                self.retries["deadline"] += 1

    def __str__(self) -> str:
        said = [f"{self.under_way} jobs at {self.workers} workers" if self.workers else "no worker is there"]
        if self.said:
            said.append(self.said)
        if len(self.of) > 1 or any(self.retries.values()):
            said += [
                f"{host} ({device}): {trials} {self.made}"
                for (host, device), trials in self.of.most_common(4)
            ]
            if len(self.of) > 4:
                said.append(f"{len(self.of) - 4} more")
        said += [f"{cause}: {count}" for cause, count in self.retries.most_common()]
        if self.refused:
            said.append(f"{len(self.refused)} workers refused: {self.refused[-1]}")
        if self.lost:
            said.append(f"last: {self.lost[-1]}")
        return ", ".join(said)
