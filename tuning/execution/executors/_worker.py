"""A worker process: reads jobs from standard input, a line each, and answers each with a line.

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
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin.buffer:
            lines.put(line)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    how = {"data_dir": given.data_dir, "checkpoints": given.checkpoints}
    while True:
        answers.write(json.dumps(_answer(lines.get(), how)).encode() + b"\n")
        answers.flush()


_KEPT: list[Any] = []


def _answer(line: bytes, how: dict[str, Any]) -> dict[str, Any]:
    try:
        from submissions import environment
        from tuning.execution.work import Kept, here, work

        asked = json.loads(line)
        if "here" in asked:
            return {"answer": {"needs": here().to_json(), "device": environment.device()}}
        if not _KEPT:
            _KEPT.append(Kept(**how))
        return {"answer": work(job_from_json(asked["job"]), _KEPT[0]).to_json()}
    except Exception as error:
        return {"error": error_to_json(error)}


if __name__ == "__main__":
    main()
