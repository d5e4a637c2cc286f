"""What the process of a trial does.

python -m tuning.execution.trials._trial_main SPEC REPORTS WORDS LOCK PARENT TASK JOIN

SPEC is the trial's file; REPORTS and WORDS are pipes to and from the run that started it, a line each time; LOCK is the
trial's, which this process holds as long as it lives. JOIN says, where several hosts
train the trial, how this process joins the others.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

from tuning.execution.trials import _lifeline


def main(spec_file: str, reports: str, words: str, lock: str, parent: str, task: str, join: str) -> int:
    """Does the task; returns the exit status."""
    stop = threading.Event()
    _lifeline.end_with(int(parent), int(words), stop.set)
    for descriptor in (reports, words):
        os.set_inheritable(int(descriptor), False)
    # Only now what takes seconds to import.
    from submissions import api
    from submissions.api import failures
    from tuning.execution import team
    from tuning.execution.trials import _trial_folder, locks

    locks.keep_from_children(int(lock))
    spec = _trial_folder.read_spec(Path(spec_file))
    with os.fdopen(int(reports), "w", encoding="utf-8") as lines:

        def report(what: str, *details: Any) -> None:
            print(json.dumps([what, *details]), file=lines, flush=True)

        class Reporter(api.Attendant):
            """Tells the run."""

            def progress(self, done: int, total: int | None) -> None:
                report("progress", done, total)

            def unsaved(self) -> None:
                report("unsaved")

            def evaluating(self) -> None:
                report("evaluating")

            def saved(self) -> None:
                report("saved")

            def say(self, what: str) -> None:
                report("say", what)

            def is_to_stop(self) -> bool:
                return stop.is_set()

        status = 1
        try:
            if join:
                team.joined(team.Join.from_json(join))
            if task == "begin":
                api.begin_logs(spec)
            else:
                _trial_folder.write_outcome(api.train(spec, Reporter()))
            status = 0
        except failures.Refused as error:
            report("refused", str(error))
        except Exception as error:
            traceback.print_exc()
            if _trial_folder.is_the_systems(error, Path(spec.folder)):
                report("failed", error.errno, error.strerror, error.filename)
            else:
                why = failures.told(error, Path(spec.submission_path).parent)
                report("crashed", why, traceback.format_exc())
    if status and join:  # JAX would wait for the other hosts, which wait for this one's part of a sum
        sys.stdout.flush()
        os._exit(status)
    return status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
