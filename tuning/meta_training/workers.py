"""The workers of a meta-training: an executor, and the estimators whose estimates it has made."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import numpy as np

import workloads
from submissions.learned import weight_files
from tuning.execution import executors, kept_files, work
from tuning.execution.coordinate import InOrder, Rules, Source, complete
from tuning.execution.executors import Executor
from tuning.execution.jobs import AnyJob, EstimateJob, Result
from tuning.execution.keeping import Store
from tuning.execution.seen import Seen
from tuning.execution.stopping import Stop
from tuning.meta_training._in_line import Estimated
from tuning.meta_training._slots import Drawn
from tuning.meta_training.plan import Plan
from tuning.meta_training.sent import Answer, opened, packed, tree
from workloads import own_files

IN_LINE = "inline"
STALENESS = 10  # outer steps, where nobody says


class Workers:
    """Who makes the estimates of a meta-training; started as a context.

    Attributes:
      asynchronous: whether workers take the newest weights as they come to them, and the learner what comes of it,
        instead of all waiting for each other at every outer step.
      staleness: outer steps by which the weights of an accepted gradient may be older, of an asynchronous training.
    """

    def __init__(
        self,
        executor: str,
        workers: int | None = None,
        options: Mapping[str, Any] | None = None,
        deadline: float | None = None,
        watch: Callable[[Seen], None] | None = None,
        asynchronous: bool = False,
        staleness: int | None = None,
    ) -> None:
        """
        Args:
          executor: a name of `tuning.execution.executors.EXECUTORS`.
          workers, options, watch: see `tuning.studies.tune.tune`.
          deadline: seconds that an estimate may take, after which its worker is given up; None: any.
          asynchronous, staleness: see the class; None of the latter: `STALENESS`.

        Raises:
          ValueError: no such executor, or one that does not take an option.
        """
        executors.executor(executor, options)
        if staleness is not None and not asynchronous:
            raise ValueError("staleness is of an asynchronous training; elsewhere no gradient is late")
        if asynchronous and executor == IN_LINE:
            raise ValueError(
                "executor 'inline' makes one estimate after the other; choose another to be asynchronous"
            )
        self._how = executor, workers, options
        self._watch = watch
        self.rules = Rules(deadline=deadline, factor=math.inf)  # a task may come up that compiles for minutes
        self.asynchronous = asynchronous
        self.staleness = 0 if not asynchronous else STALENESS if staleness is None else staleness
        self.seen = Seen(made="estimates")
        self._started: Executor | None = None
        self._futures: set[Future[Result]] = set()

    def __enter__(self) -> Workers:
        name, workers, options = self._how
        self._started = executors.start(name, workers, work.Kept(), options)
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        assert self._started is not None
        for future in list(self._futures) if kind is not None else ():
            self._started.abandon(future)
        self._started.close()

    @property
    def executor(self) -> Executor:
        """What was started.

        Raises:
          RuntimeError: nothing was.
        """
        if self._started is None:
            raise RuntimeError("workers are started as a context: with Workers(...) as workers")
        return self._started

    @property
    def workers(self) -> int:
        return self.executor.workers

    @property
    def ahead(self) -> int:
        return self.executor.ahead

    @property
    def refusals(self) -> dict[str, str]:
        return getattr(self.executor, "refusals", {})

    def abandon(self, future: Future[Result]) -> None:
        self.executor.abandon(future)

    def interrupt(self, future: Future[Result]) -> None:
        """An estimate is short, and is let end."""

    def submit(self, job: AnyJob) -> Future[Result]:
        future = self.executor.submit(job)
        self._futures.add(future)
        future.add_done_callback(self._futures.discard)
        return future

    def complete(self, jobs: Source, store: Store) -> None:
        """Has jobs done, see `tuning.execution.coordinate.complete`."""
        complete(
            jobs, self, _Free(), lambda _: None, Stop(), rules=self.rules, watch=self._watch, store=store,
            seen=self.seen,
        )  # fmt: skip


class _Free:
    """Claims of a meta-training, which is one process's alone."""

    def take(self, workload: str, number: int) -> bool:
        del workload, number
        return True

    def give_back(self, workload: str, number: int) -> None:
        """Nothing was taken."""


@dataclasses.dataclass
class _State:
    """An estimator: how its task was drawn, what its parts carry, and weights with which those begin that have not."""

    drawn: Drawn
    carried: list[bytes | None]
    begin_with: bytes | None


class Elsewhere:
    """The estimators of a meta-training whose estimates workers make. What they carry is here between two of them."""

    def __init__(self, workers: Workers, plan: Plan, parts: int, folder: Path) -> None:
        """
        Args:
          workers: started.
          plan, parts: of the training.
          folder: of its files.

        Raises:
          ValueError: another process could not know what the plan is.
        """
        said = json.loads(json.dumps(plan.describe()))
        if json.loads(json.dumps(Plan.from_json(said).describe())) != said:
            raise ValueError("the plan says too little of itself for other processes; train without workers")
        self._workers, self._plan, self._parts = workers, plan, parts
        self._of: dict[int, _State] = {}
        self._data: dict[str, str] = {}
        here, device = work.here(), workers.executor.device
        data_dir = said["distribution"].get("data_dir")
        files = {}
        for name in plan.distribution.names:
            if own_files.is_file_form(name):
                own = workloads.own_file(workloads.recorded_name(name))
                assert own is not None
                files[name] = kept_files.sent(own)
        self._every: dict[str, Any] = {
            "study": str(folder.resolve()),
            "plan": said,
            "parts": parts,
            "needs": here if device is None else dataclasses.replace(here, device=device),
            "data_dir": None if data_dir is None else str(Path(data_dir).resolve()),
            "files": files,
        }
        self._weights: tuple[Any, bytes] = None, b""

    @property
    def workers(self) -> int:
        """That are there now."""
        return self._workers.workers

    def data(self) -> dict[str, str]:
        """Workload -> the data of it, of those that workers have told of."""
        return dict(self._data)

    def draw(self, number: int, drawn: Drawn, weights: Any) -> None:
        """See `InLine.draw`. The task begins with its first estimate."""
        self._of[number] = _State(drawn, [None] * self._parts, self._content(weights))

    def resume(
        self, number: int, drawn: Drawn, weights: Any, carried: Sequence[Sequence[np.ndarray]], fresh: Any
    ) -> None:
        """See `InLine.resume`."""
        begin_with = self._content(weights if fresh is None else fresh)
        self._of[number] = _State(
            drawn, [packed(arrays) if arrays else None for arrays in carried], begin_with
        )

    def kept(self, number: int) -> tuple[list[list[Any]], Any]:
        """See `InLine.kept`."""
        state = self._of[number]
        fresh = None
        if not self._plan.whole and None in state.carried and state.begin_with is not None:
            fresh = tree(state.begin_with)
        return [[] if one is None else opened(one) for one in state.carried], fresh

    def estimates(
        self,
        asked: Sequence[tuple[int, int]],
        outer_step: int,
        weights: Any,
        pool: ThreadPoolExecutor | None = None,
    ) -> list[Estimated]:
        """See `InLine.estimates`; the order in which results come plays no part."""
        del pool
        jobs = [self.job(number, part, outer_step, weights) for number, part in asked]
        store = _Gathered()
        self._workers.complete(InOrder(jobs), store)
        return [self.taken(job, store.of[job.estimator, job.part], weights) for job in jobs]

    def job(
        self, number: int, part: int, outer_step: int, weights: Any, turn: int | None = None
    ) -> EstimateJob:
        """What a worker is asked for."""
        state, content = self._of[number], self._content(weights)
        begins = state.carried[part] is None and not self._plan.whole and state.begin_with != content
        return EstimateJob(
            estimator=number, part=part, outer_step=outer_step, drawn_at=state.drawn.at, weights=content,
            shares=state.drawn.shares, carried=state.carried[part],
            begin_with=state.begin_with if begins else None, turn=turn, **self._every,
        )  # fmt: skip

    def taken(self, job: EstimateJob, result: Result, weights: Any) -> Estimated:
        """What came of a job. What its tasks have come to is kept, unless others were drawn meanwhile.

        Raises:
          ValueError: two workers have different data for one workload.
        """
        answer = Answer.opened(result.content)
        if (there := self._data.setdefault(answer.workload, answer.data)) != answer.data:
            raise ValueError(
                f"{answer.workload}: {result.done.host} has {answer.data!r}, another worker {there!r}; give all the "
                "same data"
            )
        state = self._of[job.estimator]
        if state.drawn == (job.drawn_at, job.shares):
            state.carried[job.part] = answer.carried
        leaves, structure = jax.tree.flatten(weights)
        gradient = opened(answer.gradient)
        if [x.shape for x in gradient] != [x.shape for x in leaves]:
            raise ValueError(f"{job}: its gradient is not of these weights")
        made = jax.tree.unflatten(structure, gradient)
        return Estimated(
            answer.workload, answer.data, made, answer.loss, answer.steps, answer.compile_seconds
        )

    def _content(self, weights: Any) -> bytes:
        if self._weights[0] is not weights:
            self._weights = weights, weight_files.flax_bytes(jax.tree.map(np.asarray, weights))
        return self._weights[1]


class _Gathered:
    """The results of one outer step."""

    def __init__(self) -> None:
        self.of: dict[tuple[int, int], Result] = {}

    def is_written(self, job: EstimateJob) -> bool:
        return (job.estimator, job.part) in self.of

    def commit(self, job: EstimateJob, result: Result) -> bool:
        return self.of.setdefault((job.estimator, job.part), result) is result
