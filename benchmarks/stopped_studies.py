"""What is lost of a study that is killed at random moments, or begun twice at once. Nothing may be.

    python -m benchmarks.stopped_studies --out DIR --signals 60 --pairs 20

Signals: one process after the other trains a study and is sent KILL, TERM or INT (once or twice) at a random moment,
until as many signals were sent as asked for; a study that is whole is followed by the next. After each, every file that
was there is there as it was, and at the end every number is that of a study that nobody disturbed, bit for bit.

Pairs: two processes begin at once in a new folder: with the same specification, with different seeds, or with budgets
of which one is the beginning of the other.

Every round is a line of DIR/rounds.jsonl and a folder of DIR; what is there is not done again. Seeded: the same moments
and signals, as far as a machine has the same moments twice.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
from polars.testing import assert_frame_equal

from results import studies

WORKLOAD = "taskset/quadratic_family_seed3"  # starts soon; what it trains does not matter here
BUDGET, COHORT = 60, 1
APART = ("cohort", "cohort_seconds", "command")
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


def start(folder: Path, budget: int = BUDGET, seed: int = 0, steps: int = 20_000) -> subprocess.Popen[str]:
    """A process that trains the study."""
    arguments = [
        "tune", WORKLOAD, "--study", str(folder), "--strategy", "random", "--budget", str(budget), "--seed", str(seed),
        "--cohort-size", str(COHORT), "--steps", str(steps), "--optimizer", "sgd_optax",
    ]  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-m", "shortlist.cli", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def train(folder: Path, **how: Any) -> None:
    """Trains a study, or the rest of it, undisturbed."""
    process = start(folder, **how)
    said = process.communicate()[1]
    if process.returncode:
        raise RuntimeError(said)


def numbers(folder: Path) -> pl.DataFrame:
    """All trials, without the clock and names of folders."""
    trials = studies.read_trials(folder)
    return trials.drop(APART).sort("workload", "repeat", "point")


def files(folder: Path) -> dict[Path, bytes]:
    """The finished cohorts of a study."""
    return {path: path.read_bytes() for path in folder.glob("trials/*/[0-9]*.parquet")}


def hidden(folder: Path) -> int:
    """Files that no reader sees."""
    return sum(path.name.startswith(".") for path in folder.rglob("*"))


def same(folder: Path, whole: pl.DataFrame) -> bool:
    """Whether a study has these trials, bit for bit."""
    try:
        assert_frame_equal(numbers(folder), whole, check_exact=True)
    except (AssertionError, ValueError) as error:
        print(error, file=sys.stderr)
        return False
    return True


def signalled(folder: Path, rng: random.Random, seconds: float) -> dict[str, Any]:
    """Sends one signal to a process that trains the study. Returns what became of it."""
    before = files(folder)
    process, sent = start(folder), rng.choice(SIGNALS)
    twice = sent == signal.SIGINT and rng.random() < 0.5
    # Of moments: any since the process began; mostly while it trains, as soon as so many more cohorts are on disk.
    more = rng.randrange(1, 20)
    at_a_time, deadline = rng.random() < 0.25, time.monotonic() + 300
    if at_a_time:
        time.sleep(rng.uniform(0, seconds))
    while not at_a_time and process.poll() is None and time.monotonic() < deadline:
        if len(files(folder)) >= len(before) + more:
            time.sleep(rng.uniform(0, 0.1))
            break
        time.sleep(0.01)
    process.send_signal(sent)
    if twice:
        time.sleep(rng.uniform(0, 0.3))
        process.send_signal(sent)
    began = time.monotonic()
    said = process.communicate()[1]
    after = files(folder)
    return {
        "signal": sent.name + (" twice" if twice else ""),
        "status": process.returncode,
        "seconds until it ended": round(time.monotonic() - began, 2),
        "traceback": "Traceback" in said,
        "files": len(after),
        "files lost": sum(after.get(path) != content for path, content in before.items()),
        "hidden files": hidden(folder),
    }


def pair(folder: Path, kind: str, whole: dict[tuple[int, int], pl.DataFrame]) -> dict[str, Any]:
    """Begins a study twice at once."""
    hows = {
        "the same": [(BUDGET, 0), (BUDGET, 0)],
        "another seed": [(BUDGET, 0), (BUDGET, 1)],
        "a larger budget": [(BUDGET // 2, 0), (BUDGET, 0)],
    }[kind]
    both = [start(folder, budget, seed) for budget, seed in hows]
    said = [process.communicate()[1] for process in both]
    status = [process.returncode for process in both]
    spec = studies.read_spec(folder)
    assert spec.points is not None
    belongs = (len(spec.points[WORKLOAD]), spec.seed)
    expected = {"the same": ([0, 0],), "another seed": ([0, 2], [2, 0]), "a larger budget": ([0, 0], [2, 0])}[
        kind
    ]
    return {
        "kind": kind,
        "status": status,
        "traceback": any("Traceback" in one for one in said),
        "as expected": status in expected,
        "not mixed": same(folder, whole[belongs]),
        "trained": sum(run.trials for run in studies.read_runs(folder)),
        "hidden files": hidden(folder),
    }


def main() -> None:
    """Runs the rounds that are not there yet, and prints the counts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--signals", type=int, default=30)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=6.0, help="latest moment of a signal")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    log = asked.out / "rounds.jsonl"
    done = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def record(row: dict[str, Any]) -> None:
        done.append(row)
        with log.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)

    whole = {}
    for budget, seed in ((BUDGET, 0), (BUDGET, 1), (BUDGET // 2, 0)):
        folder = asked.out / f"whole-{budget}-{seed}"
        train(folder, budget=budget, seed=seed)
        whole[budget, seed] = numbers(folder)
    for number in range(asked.signals):
        if any(row.get("signal number") == number for row in done):
            continue
        study = sum("whole again" in row for row in done)
        folder = asked.out / f"stopped-{study}"
        row = signalled(folder, random.Random(f"{asked.seed}/{number}"), asked.seconds)
        if row["files"] == BUDGET or number == asked.signals - 1:
            train(folder)
            row |= {"whole again": same(folder, whole[BUDGET, 0]), "hidden files at the end": hidden(folder)}
        record({"signal number": number, **row})
    kinds = ("another seed", "the same", "a larger budget")
    for number in range(asked.pairs):
        if not any(row.get("pair number") == number for row in done):
            folder = asked.out / f"pair-{number}"
            shutil.rmtree(folder, ignore_errors=True)
            record({"pair number": number, **pair(folder, kinds[number % len(kinds)], whole)})
    sent = [row for row in done if "signal number" in row]
    pairs = [row for row in done if "pair number" in row]
    ended = [row for row in sent if "whole again" in row]
    print(
        f"{len(sent)} signals ({dict(Counter(row['signal'] for row in sent))}) to {len(ended)} studies of {BUDGET} "
        f"files: {sum(row['files lost'] for row in sent)} files lost, {sum(row['traceback'] for row in sent)} "
        f"tracebacks, {sum(row['whole again'] for row in ended)} of {len(ended)} equal bit for bit, "
        f"{sum(row['hidden files at the end'] for row in ended)} hidden files at the end\n"
        f"{len(pairs)} pairs begun at once: {sum(row['as expected'] for row in pairs)} as expected, "
        f"{sum(row['not mixed'] for row in pairs)} not mixed and bit for bit what one asked for, "
        f"{sum(row['traceback'] for row in pairs)} tracebacks"
    )


if __name__ == "__main__":
    main()
