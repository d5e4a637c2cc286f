"""A worker process: reads jobs from standard input, a line each, and answers each with a line.

python -m tuning.execution._worker CORE...
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import traceback

from tuning.execution.jobs import Job


def main() -> None:
    """Does jobs until standard input ends, and ends with it, whatever it is doing."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, map(int, sys.argv[1:]))  # before JAX starts, which counts them
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a user's code prints is no answer
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin.buffer:
            lines.put(line)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    while True:
        answers.write(json.dumps(_answer(lines.get())).encode() + b"\n")
        answers.flush()


def _answer(line: bytes) -> dict[str, object]:
    try:
        from tuning.execution.work import work

        return {"done": work(Job.from_json(json.loads(line))).to_json()}
    except Exception as error:
        return {"error": {"kind": _kind(error), "message": str(error), "trace": traceback.format_exc()}}


def _kind(error: Exception) -> str:
    """What whoever asked can raise: the nearest of Python's own kinds that says anything, or the name of another's."""
    kinds = type(error).__mro__
    own = [kind.__name__ for kind in kinds[: kinds.index(Exception)] if kind.__module__ == "builtins"]
    return own[0] if own else type(error).__name__


if __name__ == "__main__":
    main()
