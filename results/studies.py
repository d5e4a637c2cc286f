"""Studies on disk: what was asked, and what happened.

A study is a folder:

    study.json                           the specification: everything that determines the numbers
    optimizer.py                         a user's own optimizer, as it was when the study began
    optimizer.weights                    a learned optimizer's weights, likewise
    workloads/<workload>.py              a user's own workload, likewise
    trials/<workload>/<cohort>.parquet   one file per finished cohort, one row per trial
    claims/<workload>/<cohort>           who trains a cohort at the moment, see `tuning.execution`
    checkpoints/<workload>/<cohort>/     while a cohort trains on data that the host reads
    failures/<workload>__<cohort>.txt    what went wrong with a cohort, see `tuning.execution`
    runs.jsonl                           what every run of the study cost, one line each
    suggestions/<workload>/<number>.json what a service suggested, in order, and knowing what
    service.json                         what the study is called by services

Files appear whole or not at all, so a reader never sees half of one, and a kill at any moment loses at most the cohorts
in flight. Several processes may work on a study: of two that write one cohort, the first wins. Nothing here needs JAX.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from results._cohort_files import SCHEMA as SCHEMA
from results._cohort_files import as_parquet as as_parquet
from results._cohort_files import belongs_to as belongs_to
from results._cohort_files import check_alike, check_cohorts, read_cohort
from results._cohort_files import check_content as check_content
from results._specification import DRAWS as DRAWS
from results._specification import FORMAT as FORMAT
from results._specification import ROLES as ROLES
from results._specification import SEEDINGS as SEEDINGS
from results._specification import Cohort as Cohort
from results._specification import Programs as Programs
from results._specification import StudySpec as StudySpec
from results._specification import balanced as balanced
from results._suggestions import Suggestion as Suggestion
from results._suggestions import read_suggestions as read_suggestions
from results._suggestions import service_name as service_name
from results._suggestions import write_suggestion as write_suggestion
from submissions.statuses import STATUSES as STATUSES
from workloads.data import reading
from workloads.data.files import append_line, write_atomically, write_once
from workloads.spelling import did_you_mean

# Format 1 called a cohort a batch, and the trials of a file a width; format 2 knew neither growth nor seals.
_NAMES_SINCE_1 = {"width": "cohort_size", "widths": "cohort_sizes"}
RECORD = "record"  # folder, in that of an experiment of `shortlist run`, of the studies that it writes
SUBMISSION = "submission"  # and of what `shortlist run --optimizer` packages to be run there
OF_SUBMISSIONS = ("status_reason", "submission_seconds", "max_runtime_seconds")
LOOPS = ("population", "submission")  # the engine of many trials at once, and AlgoPerf's loop


def write_spec(folder: Path, spec: StudySpec) -> None:
    """Writes study.json, or accepts the one that is there if it asks for the same.

    Of several processes that begin a study at once one writes it, and the others find it there. A study of an older
    format is written anew in today's words with the programs that it is trained by from now on.

    Raises:
      ValueError: the folder holds another study; nothing is overwritten.
      FileExistsError: the folder holds something that is not a study.
    """
    path = folder / "study.json"
    check_place(folder)
    content = _content(spec)
    if write_once(path, content):
        return
    begun = read_spec(folder)
    undecided = begun.programs is None and spec.programs is not None
    there = dataclasses.replace(begun, programs=spec.programs) if undecided else begun
    if differing := differences(there, spec):
        raise ValueError(refusal(folder, differing))
    if undecided:
        write_atomically(path, content)


def check_place(folder: Path) -> None:
    """Accepts a folder that is a study, or can become one: missing, empty, or left by one that could not be written.

    Raises:
      FileExistsError: it holds something else.
    """
    try:
        others = [name for name in os.listdir(folder) if not _is_ours(name)]
    except FileNotFoundError:
        return
    except NotADirectoryError:
        raise FileExistsError(f"{folder}: is a file, not a study; choose another folder") from None
    if others and not (folder / "study.json").exists():  # in this order: it is the first file of a study
        raise FileExistsError(f"{folder}: not empty and not a study (no study.json); choose another folder")


def _is_ours(name: str) -> bool:
    """Whether a file may stand in a study's folder before study.json does."""
    return name == "claims" or (name.startswith(".study.json.") and name.endswith(".tmp"))


def differences(there: StudySpec, asked: StudySpec) -> dict[str, tuple[object, object]]:
    """Key -> what a study has and what is asked for, of all keys that differ; points last, as others say it better."""
    old, new = _plain(there), _plain(asked)
    keys = sorted(new, key=lambda key: key == "points")
    # Older studies do not say how points were drawn, nor that their files are sealed.
    later = {"draws": None, "sealed": False, "blocks": None}
    return {
        key: (old[key], new[key])
        for key in keys
        if old[key] != new[key] and not (key in later and old[key] == later[key])
    }


def refusal(folder: Path, differing: Mapping[str, tuple[object, object]], why: str = "") -> str:
    """What is said of a study that has something else than what is asked for."""
    said = "; ".join(f"{key} = {old!r}, asked for {new!r}" for key, (old, new) in differing.items())
    reason = f"{why}; " if why else ""
    return (
        f"{folder / 'study.json'}: this study has {said}; {reason}choose another folder, or ask for the same"
    )


def replace_spec(folder: Path, spec: StudySpec) -> None:
    """Writes study.json, whatever was there: where what was there is known, and what is kept of it."""
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
    if not isinstance(raw, dict) or raw.get("format") not in range(1, FORMAT + 1):
        got = raw.get("format") if isinstance(raw, dict) else type(raw).__name__
        raise ValueError(
            f"{path}: study format {got!r}; this version of shortlist reads formats 1 to {FORMAT}"
        )
    if raw["format"] == 1:
        raw = {_NAMES_SINCE_1.get(key, key): value for key, value in raw.items()}
    raw["format"] = FORMAT
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


def workload_copy(folder: Path, workload: str) -> Path:
    """Where a study keeps the file that defines a workload, if that is a user's own."""
    return folder / "workloads" / f"{workload.replace('/', '__')}.py"


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
    (one of `LOOPS`), precision and micro_batches (see `workloads.arithmetic`), seed, optimizer, data, host (of newer
    ones), device, versions (JSON), command. Only the submission loop knows submission_seconds and max_runtime_seconds,
    and only it and trials that a strategy stopped have a status_reason; they are null elsewhere. Curves end where a
    trial did.

    Raises:
      ValueError: a file cannot be read, has changed since it was written, or belongs to something else; its name is
        in the message.
    """
    return read_checked(folder, workload)[0]


def read_checked(folder: Path, workload: str | None = None) -> tuple[pl.DataFrame, int]:
    """As `read_trials`, and how many files have no checksum, because an earlier version wrote them."""
    spec = read_spec(folder)
    frames, unsealed, every = [], 0, []
    source = source_of(folder)
    for name in (workload,) if workload else spec.workloads:
        cohorts = _cohorts(spec, name)
        files = []
        for path in reading.matching(cohort_path(folder, name, 0).parent, "[0-9]*.parquet"):
            if not path.stem.isdecimal():
                raise ValueError(f"{path}: its name is no number of a cohort; remove it")
            cohort = None if cohorts is None else cohorts.get(int(path.stem))
            file = read_cohort(path, spec, cohort)
            if cohorts is not None and cohort is None and _is_ours_to_number(file.trials):
                raise ValueError(
                    f"{path}: the study has no such cohort of {name}, only {len(cohorts)}; remove it"
                )
            files.append(file)
        every += files
        if files:
            trials = pl.concat([file.trials for file in files], how="diagonal_relaxed")
            check_cohorts(files, trials, spec, name, source, workload_source_of(folder, name))
            frames.append(trials)
            unsealed += sum(file.belongs is None for file in files)
    if not frames:
        return pl.DataFrame(), 0
    check_alike(every)
    # Workloads report different metrics: their columns are united, absent ones are null.
    trials = pl.concat(frames, how="diagonal_relaxed")
    # Studies from before the submission loop wrote any.
    absent = [pl.lit(None, SCHEMA[n]).alias(n) for n in OF_SUBMISSIONS if n not in trials.columns]
    # Nor how they are computed.
    as_written: dict[str, Any] = {"precision": "float32", "micro_batches": 1}
    since = [
        pl.col(name).fill_null(value) if name in trials.columns else pl.lit(value, SCHEMA[name]).alias(name)
        for name, value in as_written.items()
    ]
    loop = pl.col("loop").fill_null(LOOPS[0]) if "loop" in trials.columns else pl.lit(LOOPS[0]).alias("loop")
    return trials.with_columns(*absent, *since, loop), unsealed


def read_cohorts(folder: Path, spec: StudySpec, workload: str, numbers: Sequence[int]) -> pl.DataFrame:
    """The trials of some cohorts of a workload, as they were written: what it takes does not grow with the study.

    Raises:
      ValueError: as `read_trials` does of these files.
    """
    files = [read_cohort(cohort_path(folder, workload, number), spec, None) for number in numbers]
    trials = pl.concat([file.trials for file in files], how="diagonal_relaxed")
    check_cohorts(files, trials, spec, workload, source_of(folder), workload_source_of(folder, workload))
    return trials


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
      suggestion_cpu_seconds: what each suggestion took that a process of its own computed, such as Vizier's, in the
        order in which they came; its start and what it compiled included.
    """

    trials: int
    compilations: int
    compile_seconds: float
    seconds: float
    device: str
    versions: Mapping[str, str]
    command: str | None
    suggestion_cpu_seconds: tuple[float, ...] = ()


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


def optimizer_copy(folder: Path, file: Path) -> Path:
    """Where a study keeps the file of an optimizer: a user's own, or a learned one's weights."""
    return folder / ("optimizer.py" if file.suffix == ".py" else "optimizer.weights")


def source_of(folder: Path) -> str | None:
    """SHA-256 of the copy that a study keeps of an optimizer's file, see `optimizer_copy`; None: it has none."""
    return _sha256(folder / "optimizer.py") or _sha256(folder / "optimizer.weights")


def workload_source_of(folder: Path, workload: str) -> str | None:
    """SHA-256 of the copy of the file that defines a user's own workload; None: the study has none."""
    return _sha256(workload_copy(folder, workload))


def _sha256(file: Path) -> str | None:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except FileNotFoundError:
        return None


def find_studies(path: Path) -> tuple[Path, ...]:
    """The study at a path, or all studies directly below it, in order of name."""
    if (path / "study.json").exists():
        return (path,)
    return tuple(below for below in reading.matching(path, "*") if (below / "study.json").exists())


def _content(spec: StudySpec) -> bytes:
    return msgspec.json.format(msgspec.json.encode(_plain(spec)), indent=1) + b"\n"


def _plain(spec: StudySpec) -> dict[str, Any]:
    """The specification as JSON data: what is written, and what two specifications are compared by."""
    return msgspec.to_builtins(spec, enc_hook=dict)  # a point's hyperparameters are a read-only mapping


def _is_ours_to_number(trials: pl.DataFrame) -> bool:
    """Whether the population engine trained them, by the study's partition; a run numbers its trials."""
    return "loop" not in trials.columns or bool((trials["loop"] == LOOPS[0]).all())


def _cohorts(spec: StudySpec, workload: str) -> dict[int, Cohort] | None:
    """Number -> cohort of a workload; None where the specification does not say what each holds."""
    decided = spec.cohort_size is not None or workload in (spec.blocks or spec.cohort_sizes or {})
    if spec.points is None or not decided:
        return None
    return {cohort.number: cohort for cohort in spec.cohorts(spec.points[workload], workload)}
