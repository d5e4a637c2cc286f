"""The process that speaks to Ray, and to the executor by pipes: standard input, and what was standard output.

python -m tuning.execution.executors.on_ray._driver PLAN

It is a process of its own because Ray wants much of one: its environment before it is loaded, standard output for the
errors of its daemons, signal handlers, a home. And it outlives the executor's process, however that ends, for as long
as it takes to end Ray and to delete its files.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Awaitable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

import ray
from ray import exceptions
from ray._private import state as ray_state
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from tuning.execution.executors.on_ray import _messages
from tuning.execution.executors.on_ray._places import (
    RESOURCES,
    Place,
    best,
    demand,
    places,
    sharing,
    vacant,
    variables,
)
from tuning.execution.executors.on_ray._worker import Worker
from tuning.execution.executors.on_ray.surroundings import remove

SECONDS_BETWEEN_LOOKS = 1.0  # at the nodes
SECONDS_TO_START = 600.0  # that a worker is given
SECONDS_WITHOUT_HEAD = 60.0  # after which Ray's nodes give up too
LONGEST_PAUSE = 60.0  # between attempts to start a worker
_OBJECT_STORE = 100 << 20  # bytes; only answers go through it
_WORDS = "words"  # to a worker that does a job
_LOST = {
    "crash": "its process ended",
    "host": "nothing is heard of it",
    "preempted": "its machine was told to go",
    "memory": "Ray ended it, for its machine ran out of memory",
    "unsent": "it was gone before the job began",
}

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Plan:
    """What to start.

    Attributes:
      address: of the cluster to join; None for one of our own.
      folder: of our own Ray, deleted at the end.
      home: of the user, which a Ray of our own does not have.
      device: a key of `RESOURCES`; None for accelerators where the cluster has any.
      workers: at most, and more than accelerators share them; None for `each` on every device.
      each: key of `RESOURCES` -> workers that share one such device.
    """

    address: str | None
    folder: str | None
    home: str | None
    device: str | None
    workers: int | None
    each: dict[str, int]


class Gone(Exception):
    """What was waited for will not come."""


@dataclasses.dataclass
class Call:
    """A job that was asked for."""

    number: int
    job: bytes
    worker: Any = None  # that does it
    abandoned: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)


class Driver:
    """Keeps a worker at every place, and has each of them do one job after the other."""

    def __init__(self, plan: Plan, questions: Connection, answers: Connection) -> None:
        self._plan, self._questions, self._answers = plan, questions, answers
        nodes = ray.nodes()
        self._device = plan.device or best(nodes)
        self._each = sharing(nodes, self._device, plan.workers, plan.each.get(self._device, 1))
        self._waiting: asyncio.Queue[Call] = asyncio.Queue()
        self._calls: dict[int, Call] = {}
        self._closed = asyncio.Event()
        self._leaving: dict[Place, asyncio.Event] = {}  # set when the node takes no more jobs
        self._gone: dict[Place, asyncio.Event] = {}  # set when it is lost
        self._serving: dict[Place, asyncio.Task[None]] = {}
        self._ready: dict[Place, dict[str, Any]] = {}

    async def run(self) -> None:
        """Works until the executor closes its end."""
        threading.Thread(target=self._listen, args=(asyncio.get_running_loop(),), daemon=True).start()
        watching = asyncio.create_task(self._watch())
        closed = asyncio.create_task(self._closed.wait())
        done, _ = await asyncio.wait({watching, closed}, return_when=asyncio.FIRST_COMPLETED)
        if watching in done:
            watching.result()

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            while True:
                loop.call_soon_threadsafe(self._hear, *_messages.receive(self._questions))
        except (EOFError, OSError):
            loop.call_soon_threadsafe(self._closed.set)

    def _hear(self, header: dict[str, Any], content: bytes) -> None:
        if "drop" in header:
            while not self._waiting.empty():
                self._calls.pop(self._waiting.get_nowait().number, None)
        elif "job" in header:
            call = self._calls[header["job"]] = Call(header["job"], content)
            self._waiting.put_nowait(call)
        elif "interrupt" in header:
            if (call := self._calls.get(header["interrupt"])) is not None:
                self._interrupt(call)
        elif (call := self._calls.pop(header["abandon"], None)) is not None:
            call.abandoned.set()

    def _interrupt(self, call: Call) -> None:
        if call.worker is not None:
            call.worker.interrupt.options(concurrency_group=_WORDS).remote(call.number)
        else:
            call.abandoned.set()
            self._answer(call, {"lost": "it was dropped", "cause": "unsent", "worker": ""})

    def _say(self, header: dict[str, Any], content: bytes = b"") -> None:
        try:
            _messages.send(self._answers, header, content)
        except OSError:  # nobody listens any more
            self._closed.set()

    def _answer(self, call: Call, header: dict[str, Any], content: bytes = b"") -> None:
        if self._calls.pop(call.number, None) is not None:
            self._say({"job": call.number} | header, content)

    async def _watch(self) -> None:
        """Follows the cluster: nodes that come get workers, those of nodes that go are given up."""
        heard = time.monotonic()
        while True:
            try:
                nodes, leaving = await asyncio.to_thread(lambda: (ray.nodes(), _leaving()))
                heard = time.monotonic()
            except Exception:  # the head is away: what has begun goes on, and it may come back
                if time.monotonic() - heard > SECONDS_WITHOUT_HEAD:
                    raise
                await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
                continue
            here = places(nodes, self._device, self._each)
            known = {node["NodeID"] for node in nodes if node["Alive"]}
            for place in list(self._serving):
                if place.node not in known:
                    self._gone[place].set()
                if (place.node not in known or place.node in leaving) and not self._leaving[place].is_set():
                    self._leaving[place].set()
                    self._say_who_is_ready()
                if self._serving[place].done():
                    self._serving.pop(place).result()
            free = [place for place in here if place.node not in leaving]
            for place in vacant(free, self._serving, self._plan.workers):
                self._leaving[place], self._gone[place] = asyncio.Event(), asyncio.Event()
                self._serving[place] = asyncio.create_task(self._serve(place))
            if not here:
                self._say({"unfit": f"no node of {len(known)} has a {RESOURCES[self._device]}"})
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)

    async def _serve(self, place: Place) -> None:
        """Keeps a worker at a place for as long as it is there."""
        failures = itertools.count()
        while not self._leaving[place].is_set():
            worker = self._new(place)
            try:
                hello = await _unless(worker.hello.remote(), self._gone[place], SECONDS_TO_START)
                self._ready[place] = json.loads(hello)
                self._say_who_is_ready()
                failures = itertools.count()
                while not self._leaving[place].is_set():
                    call = await _unless(self._waiting.get(), self._leaving[place])
                    await self._have_done(call, worker, place)
            except (Gone, exceptions.RayError, TimeoutError) as error:
                if place not in self._ready and not self._leaving[place].is_set():
                    unfit = isinstance(error, exceptions.RayTaskError)  # it would be so again
                    self._say({"unfit" if unfit else "missing": f"no worker on {place.host}: {_line(error)}"})
                    pause = min(LONGEST_PAUSE, 2.0 ** next(failures))
                    await _happens(self._leaving[place], pause)
            finally:
                with contextlib.suppress(Exception):  # such as a head that is away
                    ray.kill(worker)
                if self._ready.pop(place, None) is not None:
                    self._say_who_is_ready()

    def _new(self, place: Place) -> Any:
        plan = self._plan
        settings = variables(self._device, self._each)
        if plan.home is not None:
            settings["HOME"] = plan.home
        if plan.folder is not None:
            settings["TMPDIR"] = str(Path(plan.folder) / "tmp")
        remote: Any = ray.remote  # whose types know no groups
        return (
            remote(concurrency_groups={_WORDS: 1})(Worker)  # one that works is spoken to
            .options(
                **demand(self._device, self._each),
                max_restarts=0,
                max_task_retries=0,  # who asked knows better what to try again
                scheduling_strategy=NodeAffinitySchedulingStrategy(place.node, soft=False),
            )
            .remote(
                settings,
                place.number,
                place.of,
                pinned=self._device == "cpu",
                cache=plan.address is not None,  # a Ray of our own inherits what this machine's user has
            )
        )

    async def _have_done(self, call: Call, worker: Any, place: Place) -> None:
        """Has a worker do a job.

        Raises:
          Gone: the worker must be given up.
        """
        if call.abandoned.is_set():
            return
        call.worker = worker
        who = f"{self._ready[place]['host']}:{self._ready[place]['pid']}"
        began = False

        async def converse() -> None:
            nonlocal began
            async for reference in worker.work.options(num_returns="streaming").remote(call.job, call.number):
                answer = await reference
                if began:
                    self._answer(call, {"worker": who}, answer)
                else:
                    began = True
                    self._say({"began": call.number})

        try:
            await _unless(converse(), self._gone[place], stop=call.abandoned)
        except exceptions.RayTaskError as error:  # not of the job, whose errors are answers
            self._answer(call, {"lost": f"{who}: {_line(error)}", "cause": "crash", "worker": who})
        except (exceptions.RayError, Gone) as error:
            cause = await asyncio.to_thread(_cause, error, place.node) if began else "unsent"
            self._answer(call, {"lost": f"{who}: {_LOST[cause]}", "cause": cause, "worker": who})
            raise Gone(str(error)) from error

    def _say_who_is_ready(self) -> None:
        self._say(
            {
                "workers": [
                    self._ready[place] for place in sorted(self._ready) if not self._leaving[place].is_set()
                ]
            }
        )


async def _unless(
    awaited: Awaitable[T],
    gone: asyncio.Event,
    seconds: float | None = None,
    stop: asyncio.Event | None = None,
) -> T:
    """What is awaited.

    Raises:
      Gone: one of the events came before it.
      TimeoutError: nothing came within so many seconds.
    """
    task = asyncio.ensure_future(awaited)
    signals = [asyncio.create_task(event.wait()) for event in (gone, stop) if event is not None]
    try:
        await asyncio.wait({task, *signals}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise (
            Gone("is gone")
            if any(signal.done() for signal in signals)
            else TimeoutError(f"did not start within {seconds:g} s")
        )
    finally:
        for each in (task, *signals):
            each.cancel()


async def _happens(event: asyncio.Event, seconds: float) -> None:
    """Waits for an event, or for so many seconds."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)


def _leaving() -> set[str]:
    """Nodes that end soon. Ray has no public name for it."""
    return set(ray_state.state.get_draining_nodes())


def _cause(error: BaseException, node: str) -> str:
    """Why a worker was lost that had begun with a job: one of `jobs.CAUSES`, or "memory"."""
    if isinstance(error, exceptions.OutOfMemoryError):
        return "memory"
    if isinstance(error, exceptions.ActorDiedError) and error.preempted:
        return "preempted"
    with contextlib.suppress(Exception):  # a head that is away
        if isinstance(error, exceptions.ActorDiedError) and node in {
            one["NodeID"] for one in ray.nodes() if one["Alive"]
        }:
            return "crash"
    return "host"


def _line(error: BaseException) -> str:
    """What an error says, without what Ray advises."""
    text = str(error.cause) if isinstance(error, exceptions.RayTaskError) else str(error)
    return (text.strip().splitlines() or [type(error).__name__])[0]


def main() -> None:
    """Works until standard input ends."""
    plan = Plan(**json.loads(sys.argv[1]))
    questions, answers = Connection(os.dup(0), writable=False), Connection(os.dup(1), readable=False)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)  # Ray prints errors of its daemons there
    try:
        try:
            _start(plan)
        except Exception as error:
            with contextlib.suppress(OSError):
                _messages.send(answers, {"failed": _line(error)})
            return
        asyncio.run(Driver(plan, questions, answers).run())
    finally:
        ray.shutdown()
        if plan.folder is not None:
            remove(Path(plan.folder))


def _start(plan: Plan) -> None:
    if plan.address is not None:
        ray.init(address=plan.address, logging_level=logging.ERROR)
        return
    ray.init(
        address="local",
        num_cpus=plan.workers,
        num_gpus=None if plan.device == "gpu" else 0,
        include_dashboard=False,
        object_store_memory=_OBJECT_STORE,
        logging_level=logging.ERROR,
    )


if __name__ == "__main__":
    main()
