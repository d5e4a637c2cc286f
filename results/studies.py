"""Studies on disk: what was asked, and what happened.

A study is a folder:

    study.json                           the specification: everything that determines the numbers
    optimizer.py                         a user's own optimizer, as it was when the study began
    trials/<workload>/<cohort>.parquet   one file per finished cohort, one row per trial
    claims/<workload>/<cohort>           who trains a cohort at the moment, see `tuning.execution`
    checkpoints/<workload>/<cohort>/     while a cohort trains on data that the host reads
    runs.jsonl                           what every run of the study cost, one line each

Files appear whole or not at all, so a reader never sees half of one, and a kill at any moment loses at most the cohorts
in flight. Several processes may work on a study: of two that write one cohort, the first wins. Nothing here needs JAX.
"""

from __future__ import annotations

import dataclasses
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from results._parquet import read_parquet
from submissions.points import Point
from submissions.statuses import STATUSES as STATUSES
from workloads.data import reading
from workloads.data.files import append_line, write_atomically, write_once
from workloads.spelling import did_you_mean

FORMAT = 2
# Format 1 called a cohort a batch, and the trials of a file a width; everything else was as it is.
_NAMES_SINCE_1 = {"width": "cohort_size", "widths": "cohort_sizes"}
_COLUMNS_SINCE_1 = {"batch": "cohort", "batch_seconds": "cohort_seconds"}
ROLES = ("candidates", "baseline", "leave-one-out")
DRAWS = ("independent", "quasi-random", "chosen")
SEEDINGS = ("hashed", "algoperf")
RECORD = "record"  # folder, in that of an experiment of `shortlist run`, of the studies that it writes
# One schema for every trial, whoever made it; "<role>/<metric>" lists of floats stand beside these.
SCHEMA: Mapping[str, Any] = {
    "workload": pl.String, "cohort": pl.Int64, "repeat": pl.Int64, "point": pl.String, "hyperparameters": pl.String,
    "status": pl.String, "status_reason": pl.String, "diverged_step": pl.Int64, "metric": pl.String,
    "minimize": pl.Boolean, "validation_target": pl.Float64, "test_target": pl.Float64, "step_hint": pl.Int64,
    "max_runtime_seconds": pl.Float64, "steps": pl.Int64, "global_step": pl.List(pl.Int64),
    "submission_seconds": pl.List(pl.Float64), "cohort_seconds": pl.Float64, "loop": pl.String, "seed": pl.Int64,
    "optimizer": pl.String, "data": pl.String, "device": pl.String, "versions": pl.String, "command": pl.String,
}  # fmt: skip
OF_SUBMISSIONS = ("status_reason", "submission_seconds", "max_runtime_seconds")
LOOPS = ("population", "submission")  # the engine of many trials at once, and AlgoPerf's loop


@dataclasses.dataclass(frozen=True)
class Cohort:
    """Trials of one workload that are trained together and written as one file.

    Attributes:
      number: names the file.
      repeat: of all its trials.
      points: one per trial.
      size: trials of the largest cohort beside it; smaller ones are filled up, so that one program serves all.
    """

    number: int
    repeat: int
    points: tuple[Point, ...]
    size: int


@dataclasses.dataclass(frozen=True)
class Programs:
    """How the trials of a cohort are spread over programs, which decides the order of sums.

    Attributes:
      width: at most so many trials in one program.
      side_by_side: programs that share the trials at a time.
    """

    width: int
    side_by_side: int


@dataclasses.dataclass(frozen=True)
class StudySpec:
    """Everything that determines a study's numbers. The same specification gives the same numbers.

    Attributes:
      name: short name; the `submission` of AlgoPerf's vocabulary.
      title: how reports call it.
      role: what a report compares it as, one of `ROLES`.
      optimizer: a name of `submissions.OPTIMIZERS`.
      strategy: name and arguments of the strategy that gives the points.
      points: workload -> points, materialised once; None where a sequential strategy asks as it goes.
      workloads: names, in the order they are trained.
      repeats: independent trainings of every point.
      seed: of the whole study.
      seeding: how trials come by their random keys, one of `SEEDINGS`. "hashed": from (seed, workload, point, repeat).
        "algoperf": as `shortlist run` derives them, the n-th point having those of its trial n: initial parameters and
        batches are then the same in both engines, dropout is not. It takes batches of their own and one repeat.
      cohort_size: at most so many trials form one cohort, trained as one program where it fits into memory; None: as
        many per cohort and per program as serve each workload best on the machine that begins the study.
      cohort_sizes: workload -> the size that was chosen so; `tune` fills it in, as a cohort must stay what it was.
      programs: workload -> how its cohorts are spread over programs; `tune` fills it in, so that whoever goes on with
        the study, on whatever machine, sums in the same order.
      shared_batches: the trials of a cohort see the same examples at every step.
      steps: steps of every trial and end of its schedule; None means the workload's step hint.
      eval_period: steps between evaluations; None means the workload's own, scaled as the steps are.
      eval_batches: evaluate on so many fresh minibatches of each split, see `tuning.engine.population.Evaluation`; None
        means on whole splits.
      eval_at_start: evaluate before the first step too.
      draws: how the points were come by, one of `DRAWS`: what a report may suppose of them; None in older studies.
      data: workload -> provenance of its data; `tune` fills it in, so that a study never mixes data sets.
      format: version of this layout.
    """

    name: str
    title: str
    role: str
    optimizer: str
    strategy: Mapping[str, Any]
    points: Mapping[str, tuple[Point, ...]] | None
    workloads: tuple[str, ...]
    repeats: int = 1
    seed: int = 0
    seeding: str = "hashed"
    cohort_size: int | None = None
    shared_batches: bool = True
    steps: int | None = None
    eval_period: int | None = None
    eval_batches: int | None = None
    eval_at_start: bool = False
    draws: str | None = None
    data: Mapping[str, str] | None = None
    cohort_sizes: Mapping[str, int] | None = None
    programs: Mapping[str, Programs] | None = None
    format: int = FORMAT

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise ValueError(f"study {self.name!r}: unknown role {self.role!r}; allowed: {', '.join(ROLES)}")
        if self.draws is not None and self.draws not in DRAWS:
            raise ValueError(
                f"study {self.name!r}: unknown draws {self.draws!r}; allowed: {', '.join(DRAWS)}"
            )
        if self.seeding not in SEEDINGS:
            raise ValueError(
                f"study {self.name!r}: unknown seeding {self.seeding!r}; allowed: {', '.join(SEEDINGS)}"
            )
        if self.seeding == "algoperf":
            self._check_algoperf()
        if not self.workloads:
            raise ValueError(f"study {self.name!r}: no workloads; name at least one")
        if self.repeats < 1:
            raise ValueError(f"study {self.name!r}: repeats is {self.repeats}, must be at least 1")
        for field in ("cohort_size", "steps", "eval_period", "eval_batches"):
            value = getattr(self, field)
            if value is not None and value < 1:
                raise ValueError(f"study {self.name!r}: {field} is {value}, must be at least 1 or None")
        if self.points is not None and set(self.points) != set(self.workloads):
            raise ValueError(
                f"study {self.name!r}: points are given for {sorted(self.points)}, "
                f"workloads are {sorted(self.workloads)}"
            )

    def _check_algoperf(self) -> None:
        what = f"study {self.name!r}: seeding 'algoperf'"
        if self.shared_batches:
            raise ValueError(f"{what} gives every trial batches of its own; add --own-batches")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"{what} takes seeds in 0..{2**32 - 1}, not {self.seed}")
        if self.repeats != 1:
            raise ValueError(f"{what} has no repeats; make another study, with another seed")

    def cohort_size_of(self, workload: str) -> int:
        """At most so many trials of a workload form one cohort.

        Raises:
          ValueError: nobody has chosen yet.
        """
        if self.cohort_size is not None:
            return self.cohort_size
        if self.cohort_sizes is None:
            raise ValueError(f"study {self.name!r}: cohort_size is None; tune chooses one per workload")
        return self.cohort_sizes[workload]

    def cohorts(self, points: Sequence[Point], workload: str, first: int = 0) -> tuple[Cohort, ...]:
        """The study's work on points of one workload, numbered from `first`.

        A fixed partition, whatever is already done: resuming then trains the very same cohorts again. Trials of
        one repeat share an order of examples, so cohorts never mix repeats. Sizes are as equal as they can be,
        so that one program serves them all.
        """
        count = -(-len(points) // self.cohort_size_of(workload))
        size = -(-len(points) // count) if count else 0
        chunks = [tuple(points[i : i + size]) for i in range(0, len(points), size)] if size else []
        parts = [(repeat, chunk) for repeat in range(self.repeats) for chunk in chunks]
        return tuple(Cohort(first + i, repeat, chunk, size) for i, (repeat, chunk) in enumerate(parts))


def write_spec(folder: Path, spec: StudySpec) -> None:
    """Writes study.json, or accepts the one that is there if it asks for the same.

    Of several processes that begin a study at once one writes it, and the others find it there. A study of format 1 is
    written anew in today's words, with the programs that it is trained by from now on.

    Raises:
      ValueError: the folder holds another study; nothing is overwritten.
      FileExistsError: the folder holds something that is not a study.
    """
    path = folder / "study.json"
    # Another process may be about to put its own in place.
    others = [n for n in os.listdir(folder) if not n.startswith(".study.json.")] if folder.exists() else []
    if others and not path.exists():  # in this order: study.json is the first file of a study
        raise FileExistsError(f"{folder}: not empty and not a study (no study.json); choose another folder")
    content = _content(spec)
    if write_once(path, content):
        return
    begun = read_spec(folder)
    undecided = begun.programs is None and spec.programs is not None
    there = _plain(dataclasses.replace(begun, programs=spec.programs) if undecided else begun)
    asked = _plain(spec)
    # Points last: whatever changed them, another workload or budget, says it better.
    for key in sorted(asked, key=lambda key: key == "points"):
        old, new = there[key], asked[key]
        if old != new and not (key == "draws" and old is None):  # older studies do not say it
            raise ValueError(
                f"{path}: this study has {key} = {_short(old)}, asked for {_short(new)}; "
                "choose another folder, or ask for the same"
            )
    if undecided:
        write_atomically(path, content)


def replace_spec(folder: Path, spec: StudySpec) -> None:
    """Writes study.json, whatever was there: for a study whose rows say what each trial was asked for."""
    path = folder / "study.json"
    content = _content(spec)
    if not write_once(path, content) and path.read_bytes() != content:
        write_atomically(path, content)


def read_spec(folder: Path) -> StudySpec:
    """Reads study.json.

    Raises:
      FileNotFoundError: there is none.
      ValueError: half-written, of another format, or with keys that do not belong.
    """
    path = folder / "study.json"
    try:
        raw = reading.read_json(path)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{folder}: not a study (no study.json); 'shortlist tune --study {folder}' makes one"
        ) from None
    except ValueError as error:
        raise ValueError(f"{error}; restore it or start another study") from None
    if not isinstance(raw, dict) or raw.get("format") not in (1, FORMAT):
        got = raw.get("format") if isinstance(raw, dict) else type(raw).__name__
        raise ValueError(
            f"{path}: study format {got!r}; this version of shortlist reads formats 1 and {FORMAT}"
        )
    if raw["format"] == 1:
        raw = {_NAMES_SINCE_1.get(key, key): value for key, value in raw.items()} | {"format": FORMAT}
    known = [field.name for field in dataclasses.fields(StudySpec)]
    for key in raw:
        if key not in known:
            hint = did_you_mean(key, known)
            raise ValueError(f"{path}: unknown key {key!r}{hint} (allowed: {', '.join(known)})")
    try:
        # Made anew, as msgspec leaves out what an older file does not name.
        return dataclasses.replace(msgspec.convert(raw, StudySpec))
    except msgspec.ValidationError as error:
        raise ValueError(f"{path}: {error}; correct it there or start another study") from None


def cohort_path(folder: Path, workload: str, number: int) -> Path:
    """Where the trials of one cohort lie; a workload's slashes become two underscores."""
    return folder / "trials" / workload.replace("/", "__") / f"{number:05d}.parquet"


def checkpoint_folder(folder: Path, workload: str, number: int) -> Path:
    """Where a cohort keeps what it goes on from while it trains, if it is of a kind that does."""
    return folder / "checkpoints" / workload.replace("/", "__") / f"{number:05d}"


def as_parquet(trials: pl.DataFrame) -> bytes:
    """The trials of a finished cohort, as its file holds them."""
    buffer = io.BytesIO()
    trials.write_parquet(buffer)
    return buffer.getvalue()


def write_cohort(folder: Path, workload: str, number: int, content: bytes) -> bool:
    """Writes the file of a finished cohort whole, unless there is one; returns whether it did.

    Args:
      folder: of the study.
      workload, number: of the cohort.
      content: what `as_parquet` made.
    """
    return write_once(cohort_path(folder, workload, number), content)


def read_trials(folder: Path, workload: str | None = None) -> pl.DataFrame:
    """All finished trials of a study, or those of one workload, in the order of its cohorts.

    Columns: workload, cohort, repeat, point, hyperparameters (JSON), status, status_reason, diverged_step, metric,
    minimize, validation_target, test_target, step_hint, max_runtime_seconds, steps, global_step (list),
    "<role>/<metric>" (lists over evaluations, null after divergence), submission_seconds (list), cohort_seconds, loop
    (one of `LOOPS`), seed, optimizer, data, device, versions (JSON), command. Only the submission loop knows
    status_reason, submission_seconds and max_runtime_seconds; they are null elsewhere.

    Raises:
      ValueError: a file cannot be read; its name is in the message.
    """
    spec = read_spec(folder)
    frames = []
    for name in (workload,) if workload else spec.workloads:
        for path in sorted(cohort_path(folder, name, 0).parent.glob("[0-9]*.parquet")):
            try:
                frames.append(read_parquet(path).rename(_COLUMNS_SINCE_1, strict=False))
            except (pl.exceptions.PolarsError, ValueError, OSError) as error:
                reason = str(error).splitlines()[0].removeprefix(f"{path}: ")
                raise ValueError(
                    f"{path}: unreadable ({reason}); delete it and run the study again to train this cohort anew"
                ) from None
    # Workloads report different metrics: their columns are united, absent ones are null.
    if not frames:
        return pl.DataFrame()
    trials = pl.concat(frames, how="diagonal")
    # Studies from before the submission loop wrote any.
    absent = [pl.lit(None, SCHEMA[n]).alias(n) for n in OF_SUBMISSIONS if n not in trials.columns]
    loop = pl.col("loop").fill_null(LOOPS[0]) if "loop" in trials.columns else pl.lit(LOOPS[0]).alias("loop")
    return trials.with_columns(*absent, loop)


@dataclasses.dataclass(frozen=True)
class Run:
    """What one run of a study did until it had trained what was missing. A run that was killed leaves none.

    Attributes:
      trials: trained in this run.
      compilations: programs compiled for them.
      compile_seconds: what tracing and compiling took, added up over threads; little where the persistent cache
        had the programs.
      seconds: of the whole run.
      device, versions, command: as in every trial.
    """

    trials: int
    compilations: int
    compile_seconds: float
    seconds: float
    device: str
    versions: Mapping[str, str]
    command: str | None


def write_run(folder: Path, run: Run) -> None:
    """Adds a run to runs.jsonl."""
    append_line(folder / "runs.jsonl", msgspec.json.encode(run))


def read_runs(folder: Path) -> tuple[Run, ...]:
    """The runs of a study, oldest first."""
    path = folder / "runs.jsonl"
    try:
        return tuple(msgspec.json.Decoder(Run).decode_lines(reading.read_bytes(path)))
    except FileNotFoundError:
        return ()
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: {error}; delete the file, it only tells what runs cost") from None


def find_studies(path: Path) -> tuple[Path, ...]:
    """The study at a path, or all studies directly below it, in order of name."""
    if (path / "study.json").exists():
        return (path,)
    return tuple(sorted(p.parent for p in path.glob("*/study.json"))) if path.is_dir() else ()


def _content(spec: StudySpec) -> bytes:
    return msgspec.json.format(msgspec.json.encode(_plain(spec)), indent=1) + b"\n"


def _plain(spec: StudySpec) -> dict[str, Any]:
    """The specification as JSON data: what is written, and what two specifications are compared by."""
    return msgspec.to_builtins(spec, enc_hook=dict)  # a point's hyperparameters are a read-only mapping


def _short(value: object, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
