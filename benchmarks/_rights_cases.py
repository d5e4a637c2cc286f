"""What commands are asked for while they lack a right to a file or folder, and the files that they are given."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks import _malformed_kinds

MADE = (
    "list file", "list of points", "search space", "fractions, CSV", "study.json", "curve table", "released curves",
    "replica means", "AlgoPerf's trials.parquet", "log's evaluations", "IDX images", "targets",
)  # fmt: skip
REFUSED = ("one line", "usage error")
TAKEN = ("taken",)
EITHER = (*REFUSED, *TAKEN)
TRIAL = "experiment/mine/study_0/algoperf.mnist_jax/trial_1"
RECORD = "experiment/mine/study_0/record/algoperf.mnist_jax"
TUNE = "tune digits/conv --study {dir}/trained --budget 2 --steps 2 --eval-period 1"
RUN = (
    "run --submission-path {dir}/packaged --workload algoperf/mnist --experiment-dir {dir}/experiment "
    "--experiment-name mine/study_0 --rng-seed 0 --num-tuning-trials 3 --max-global-steps 4 --eval-period-steps 2"
)
SLICE = f"{RUN} --hparam-start-index 0 --hparam-end-index 2"  # the first two of three trials
RESUMED = f"{RUN} --resume"
DRY = "validate {dir}/packaged --workload digits/conv --steps 4"
OF_DATA = "tune algoperf/mnist --study {dir}/made --steps 2 --eval-period 1 --budget 1 --data-dir {dir}/data"
# Commands that make the inputs, for the groups that need them.
PREPARED = {
    "tune": (TUNE.replace("budget 2", "budget 1"),),
    "run": ("package --list medapati2025 --authors A --out {dir}/packaged", SLICE),
    "replace": ("report {dir}/fractions.csv --out {dir}/reported",),
    "package": ("package --list medapati2025 --authors A --out {dir}/packaged",),
}


@dataclasses.dataclass(frozen=True)
class Case:
    """A command that lacks a right.

    Attributes:
      group: of cases that are run together.
      command: line; {dir} is the folder of inputs.
      locked: path in that folder.
      right: that is taken away: write, read or search.
      expected: outcomes that are right.
      makes: the locked path is a folder that is made for the case.
    """

    group: str
    command: str
    locked: str
    right: str
    expected: tuple[str, ...] = REFUSED
    makes: bool = False

    def __str__(self) -> str:
        return f"{self.command.split(' --')[0].replace('{dir}/', '')}: {self.locked}"


def make_inputs(folder: Path, groups: set[str]) -> Path:
    """What the commands of some groups of cases read, all in one folder."""
    from shortlist import cli

    for kind in _malformed_kinds.KINDS:
        if kind.name in MADE:
            kind.make(folder)
    (folder / "optimizer.py").write_text(_malformed_kinds.OWN_OPTIMIZER)
    (folder / "workload.py").write_text(_malformed_kinds.OWN_WORKLOAD)
    lines = [line for group in PREPARED if group in groups for line in PREPARED[group]]
    for line in dict.fromkeys(lines):
        sys.argv = ["shortlist", *shlex.split(line.format(dir=folder))]
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
            try:
                cli.main()
            except SystemExit as end:
                if end.code:
                    raise RuntimeError(said.getvalue()) from None
    if "run" in groups:  # a trial of two has not ended
        (folder / TRIAL / "outcome.json").unlink()
    return folder


def _reading() -> Iterator[Case]:
    """Commands that only read: every file and folder on the way to what they are asked for."""
    study = "study", "study/trials", "study/trials/taskset__mlp_family_seed12"
    commands = {
        "score {dir}/study --json": study,
        "build-list {dir}/study --size 2 --json": study,
        "leave-one-out {dir}/study --size 2 --json": study,
        "report {dir}/study --out {dir}/made": study,
        "curves list {dir}/study --size 2 --json": study,
        "score {dir}/logs --json": (
            "logs", "logs/mine", "logs/mine/study_0", "logs/mine/study_0/fastmri_jax",
            "logs/mine/study_0/fastmri_jax/trial_1",
        ),
        "build-list {dir}/logs --size 1 --json": ("logs", "logs/mine/study_0/fastmri_jax"),
        "report {dir}/logs --out {dir}/made": ("logs/mine", "logs/mine/study_0/fastmri_jax/trial_1"),
        "score {dir}/tables --json": ("tables",),
        "curves list {dir}/released --size 2 --json": ("released", "released/mlp_family_seed0"),
        "curves convert {dir}/released --out {dir}/made.parquet": ("released", "released/mlp_family_seed0"),
        "curves report {dir}/released --size 2 --resamplings 2 --out {dir}/made": ("released/mlp_family_seed0",),
    }  # fmt: skip
    for command, folders in commands.items():
        for folder in folders:
            for right in ("read", "search"):
                # What lies in these is known by name.
                known = right == "read" and folder.endswith(("study/trials", "trial_1"))
                yield Case("read", command, folder, right, TAKEN if known else REFUSED)
    cohort = "study/trials/taskset__mlp_family_seed12/00000.parquet"
    trial = "logs/mine/study_0/fastmri_jax/trial_1"
    for command, files in {
        "score {dir}/study --json": ("study/study.json", cohort),
        "report {dir}/study --out {dir}/made": ("study/study.json", cohort),
        "curves list {dir}/study --size 2 --json": (cohort,),
        "score {dir}/logs --json": tuple(
            f"{trial}/{name}" for name in ("eval_measurements.csv", "meta_data_0.json", "hparams.json")
        ),
        "score {dir}/tables --json": ("tables/trials.parquet", "tables/evals.parquet"),
        "build-list {dir}/fractions.csv --size 1 --json": ("fractions.csv",),
        "report {dir}/fractions.csv --out {dir}/made": ("fractions.csv",),
        "curves list {dir}/curves.parquet --size 2 --json": ("curves.parquet",),
        "curves convert {dir}/means.npz --out {dir}/made.parquet": ("means.npz",),
        "curves list {dir}/released --size 2 --json": (
            "released/mlp_family_seed0/nadamw_grid_400_replica2.npz",
        ),
    }.items():
        for file in files:
            yield Case("read", command, file, "read", REFUSED)


def _writing() -> Iterator[Case]:
    """Commands that write: into a folder that they may not write to, not search, or not list."""
    commands = {
        "build-list {dir}/study --size 1 --out {dir}/locked/list.json": "write",
        "curves list {dir}/curves.parquet --size 2 --out {dir}/locked/list.json": "write",
        "curves convert {dir}/curves.parquet --out {dir}/locked/table.parquet": "write",
        "curves convert {dir}/curves.parquet --out {dir}/locked/released": "write",
        "report {dir}/study --out {dir}/locked/report": "write",
        "report {dir}/fractions.csv --out {dir}/locked/report": "write",
        "report {dir}/logs --out {dir}/locked/report": "write",
        "curves report {dir}/curves.parquet --size 2 --resamplings 2 --out {dir}/locked/report": "write",
        "package --list medapati2025 --authors A --out {dir}/locked/mine": "write",
        "package --built-in all --out {dir}/locked/all": "write",
        "set-targets clicks/mlp --reference nadamw --points 1 --seeds 1 --out {dir}/locked/targets.json": "train",
        TUNE.replace("trained", "locked/study"): "train",
        TUNE.replace("trained", "locked"): "train",
        TUNE.replace("trained", "locked/study") + " --executor processes": "train",
        RUN.replace("{dir}/experiment", "{dir}/locked"): "run",
        RUN.replace("{dir}/experiment", "{dir}/locked").replace(
            "--submission-path {dir}/packaged", "--optimizer nadamw_optax"
        ): "run",
    }
    for command, group in commands.items():
        for right in ("write", "search"):
            yield Case(group, command, "locked", right, makes=True)
        yield Case(group, command, "locked", "read", EITHER, makes=True)
    for locked in ("reported", "reported/figures"):
        for right in ("write", "read", "search"):
            yield Case("replace", PREPARED["replace"][0] + " --overwrite", locked, right)
    # There already, and empty: what is made beside it takes its place.
    for command in (
        "report {dir}/fractions.csv --out {dir}/locked",
        "package --list medapati2025 --authors A --out {dir}/locked",
        "curves convert {dir}/curves.parquet --out {dir}/locked",
    ):
        yield Case("write", command, "locked", "write", EITHER, makes=True)
        yield Case("write", command, "locked", "search", EITHER, makes=True)


def _packaging() -> Iterator[Case]:
    """Commands that take the user's own files, and `validate`."""
    made = "--authors A --out {dir}/made"
    for command, files in {
        f"package --list {{dir}}/list.json {made}": ("list.json",),
        f"package --list {{dir}}/points.json --optimizer nadamw_optax {made}": ("points.json",),
        f"package --space {{dir}}/space.json --optimizer nadamw_optax {made}": ("space.json",),
        f"package --optimizer {{dir}}/optimizer.py:mine {made}": ("optimizer.py",),
        "validate {dir}/packaged --no-dry-run": ("packaged/submission.py", "packaged/tuning_search_space.json"),
        "tune {dir}/workload.py:build --study {dir}/made --steps 2 --eval-period 1 --budget 1": ("workload.py",),
        "tune digits/conv --study {dir}/made --steps 2 --eval-period 1 --budget 1 --optimizer "
        "{dir}/optimizer.py:mine": ("optimizer.py",),
        "tune digits/conv --study {dir}/made --steps 2 --eval-period 1 --budget 1 --list {dir}/list.json": (
            "list.json",
        ),
        "workloads {dir}/workload.py:build": ("workload.py",),
        "optimizers {dir}/optimizer.py:mine": ("optimizer.py",),
    }.items():  # fmt: skip
        for file in files:
            yield Case("package", command, file, "read")
    for right in ("read", "search"):
        yield Case("package", "validate {dir}/packaged --no-dry-run", "packaged", right)
        yield Case("package", DRY, "packaged", right)
        yield Case("package", OF_DATA, "data", right)
        yield Case("package", OF_DATA, "data/mnist", right, EITHER if right == "read" else REFUSED)
    yield Case("package", OF_DATA, "data/mnist/train-images-idx3-ubyte", "read")
    yield Case("package", DRY, "packaged/submission.py", "read")


def _going_on() -> Iterator[Case]:
    """Studies and runs that are gone on with."""
    cohorts = "trained/trials/digits__conv"
    for right in ("write", "read", "search"):
        yield Case("tune", TUNE, "trained", right)
        # What it holds is there already, and known by name.
        yield Case("tune", TUNE, "trained/trials", right, TAKEN if right == "write" else REFUSED)
        yield Case("tune", TUNE, cohorts, right)
    for locked in ("trained/study.json", f"{cohorts}/00000.parquet"):
        yield Case("tune", TUNE, locked, "read")
        yield Case("tune", TUNE, locked, "write", TAKEN)  # another file takes its place
    yield Case("tune", TUNE, "trained/runs.jsonl", "write")
    yield Case("run", RESUMED, "experiment/mine", "read", TAKEN)
    yield Case("run", RESUMED, "experiment/mine", "search")
    for right in ("write", "read", "search"):
        # Its files are known by name.
        yield Case("run", RESUMED, RECORD, right, TAKEN if right == "read" else REFUSED)
        yield Case("run", RESUMED, TRIAL, right)
    yield Case("run", RESUMED, str(Path(TRIAL).parent), "read")
    for name in (
        "trial.json",
        "eval_measurements.csv",
        "measurements.csv",
        "meta_data_0.json",
        "checkpoint_4.npz",
    ):
        yield Case("run", RESUMED, f"{TRIAL}/{name}", "read")
    for name in ("points.json", "trial_2/outcome.json"):
        yield Case("run", RESUMED, str(Path(TRIAL).parent / name), "read")
    for name in ("submission.py", "tuning_search_space.json"):
        yield Case("run", RESUMED, f"packaged/{name}", "read")
    yield Case("run", RESUMED, "packaged", "search")


CASES: tuple[Case, ...] = (*_reading(), *_writing(), *_packaging(), *_going_on())
