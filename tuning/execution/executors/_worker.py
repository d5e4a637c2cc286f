"""A worker process: reads jobs from standard input, a line each, and answers each with a line. Of lines that ask it to
stop the one that it does, those of another one are not heeded.

python -m tuning.execution.executors._worker [--data-dir DIR] [--checkpoints DIR] [CORE...]
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import sys
import threading
from pathlib import Path
from typing import Any

from tuning.execution.jobs import error_to_json, job_from_json
from tuning.execution.stopping import Stop


def main() -> None:
    """Does jobs until standard input ends, and ends with it, whatever it is doing."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir")
    parser.add_argument("--checkpoints", type=Path)
    parser.add_argument("cores", nargs="*", type=int)
    given = parser.parse_args()
    if given.cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, given.cores)  # before JAX starts, which counts them
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a user's code prints is no answer
    questions: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    under_way: dict[str, Stop] = {}  # the one job that is, by its name

    def read() -> None:
        for line in sys.stdin.buffer:
            asked = json.loads(line)
            if "stop" not in asked:
                questions.put(asked)
            elif (stop := under_way.get(asked["stop"])) is not None:
                stop.set()
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    how = {"data_dir": given.data_dir, "checkpoints": given.checkpoints}
    while True:
        answers.write(json.dumps(_answer(questions.get(), how, under_way)).encode() + b"\n")
        answers.flush()


_KEPT: list[Any] = []


def _answer(asked: dict[str, Any], how: dict[str, Any], under_way: dict[str, Stop]) -> dict[str, Any]:
    try:
        from submissions import environment
        from tuning.execution.work import Kept, here, work

        if "here" in asked:
            return {"answer": {"needs": here().to_json(), "device": environment.device()}}
        if not _KEPT:
            _KEPT.append(Kept(**how))
        stop = under_way[asked["name"]] = Stop()
        return {"answer": work(job_from_json(asked["job"]), _KEPT[0], stop).to_json()}
    except Exception as error:
        return {"error": error_to_json(error)}
    finally:
        under_way.clear()


if __name__ == "__main__":
    main()
