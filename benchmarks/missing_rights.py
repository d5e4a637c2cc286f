"""Every command on files and folders that it may not read, write or search: counted by what became of it.

    python -m benchmarks.missing_rights

As root, for whom rights do not count, it starts itself anew without root's privileges. Expected of every case: one line
and exit status 2 that names what may not be read or written, no temporary file left behind, what was there is as it
was; and with the right given back, the same command does what it was asked.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import _malformed_cases, _rights_cases
from benchmarks._malformed_cases import Answer
from benchmarks._rights_cases import CASES, Case

LITTER = ("*.tmp", "*.old", "*.building", "unfinished-*", ".submission.*")
MODES = {
    # what is taken away -> bits of the mode
    "write": stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH,
    "read": stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH,
    "search": stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH,
}
WITHOUT_PRIVILEGES = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")  # root's, of Linux


def rights_count() -> bool:
    """Whether a file's mode says what this process may do: not for a privileged one."""
    with tempfile.TemporaryDirectory() as base:
        locked = Path(base) / "locked"
        locked.write_bytes(b"")
        locked.chmod(0)
        return not os.access(locked, os.R_OK)


def of_case(case: Case, inputs: Path, seconds: float = 600.0) -> Iterator[tuple[str, Answer]]:
    """What becomes of a command without a right, and with it again, on a copy of the inputs."""
    with tempfile.TemporaryDirectory(prefix="rights-") as base:
        folder = Path(base) / "inputs"
        shutil.copytree(inputs, folder, symlinks=True)
        line, locked = case.command.format(dir=folder), folder / case.locked
        if case.makes:
            locked.mkdir(parents=True)
        before = _content(folder)
        with without(case.right, locked):
            answer = _malformed_cases.answer_of(line, Path(base), seconds=seconds)
        answer = _judged(case, answer, folder, before)
        yield f"{case}: {case.right}", answer
        if answer.outcome != "taken":
            yield f"{case}: {case.right} again", _malformed_cases.answer_of(line, Path(base), seconds=seconds)


@contextlib.contextmanager
def without(right: str, path: Path) -> Iterator[None]:
    """Takes a right to a path away from everybody."""
    mode = stat.S_IMODE(path.stat().st_mode)
    path.chmod(mode & ~MODES[right])
    try:
        yield
    finally:
        path.chmod(mode)


def main() -> int:
    """Runs the cases and prints what became of them; exit status 1 where one was not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--group", action="append", choices=sorted({case.group for case in CASES}), help="only these"
    )
    parser.add_argument("--named", default="", metavar="TEXT", help="only those with this in their names")
    asked = parser.parse_args()
    if not rights_count():
        line = [*WITHOUT_PRIVILEGES, sys.executable, "-m", "benchmarks.missing_rights", *sys.argv[1:]]
        return subprocess.run(line, check=False).returncode
    began, wrong, count = time.monotonic(), 0, 0
    with tempfile.TemporaryDirectory(prefix="rights-") as base:
        chosen = [
            case
            for case in CASES
            if (not asked.group or case.group in asked.group) and asked.named in str(case)
        ]
        inputs = _rights_cases.make_inputs(Path(base), {case.group for case in chosen})
        for case in chosen:
            for name, answer in of_case(case, inputs):
                fine = (
                    answer.outcome == "taken" if name.endswith("again") else answer.outcome in case.expected
                )
                wrong, count = wrong + (not fine), count + 1
                print(f"{'' if fine else 'WRONG '}{name}: {answer.outcome}: {answer.said}", flush=True)
    print(f"{count} cases, {wrong} of them wrong; {time.monotonic() - began:.0f} s")
    return int(wrong > 0)


def _judged(case: Case, answer: Answer, folder: Path, before: dict[str, bytes]) -> Answer:
    litter = [str(path) for pattern in LITTER for path in folder.rglob(pattern)]
    if litter:
        return Answer("litter", litter[0])
    if answer.outcome == "many lines" and "isnotreadable" in re.sub(r"[│\s]", "", answer.said):
        return Answer("usage error", "is not readable")  # Typer's, in a frame
    if answer.outcome == "taken" and answer.said:
        return Answer("told", answer.said)
    if answer.outcome == "one line":
        after = _content(folder)
        if changed := [path for path in before if before[path] != after.get(path)]:
            return Answer("lost", f"{changed[0]} has changed; {answer.said}")
        if str(os.path.normpath(folder / case.locked)) not in answer.said or "ermission" not in answer.said:
            return Answer("no path", answer.said)
    return answer


def _content(folder: Path) -> dict[str, bytes]:
    """All but what says what a study or run has begun or done, which goes on while it does."""
    begun = ("study.json", "trial.json", "runs.jsonl")
    return {
        str(path): hashlib.sha256(path.read_bytes()).digest()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in begun
    }


if __name__ == "__main__":
    sys.exit(main())
