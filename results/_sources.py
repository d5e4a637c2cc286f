"""One way in: whatever holds results, by its path."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from results._fraction_table import SUFFIXES, read_fraction_table
from results._fractions import Fractions
from results._packed import is_packed, read_packed
from results._read_studies import read_studies
from results._results import Results
from results.algoperf._logs import read_algoperf_logs
from results.algoperf._parquet import FILES, read_algoperf_parquet
from results.algoperf._tree import holds_trials
from workloads.data import reading


def read_source(
    path: Path,
    progress: Callable[[str, int, int], None] | None = None,
    benchmark: str | None = None,
    ruleset: str | None = None,
) -> Results | Fractions:
    """Reads a SOURCE.

    | what | recognised by |
    |---|---|
    | a study of ours, or a folder of them | study.json in it, or one level below |
    | AlgoPerf's published logs as tables | trials.parquet and evals.parquet |
    | a tree of AlgoPerf logs, at any level | study_<k>/<workload>_<jax or pytorch>/trial_<i> |
    | any of these, packed into one file | a .parquet file of `write_packed` |
    | a table of fractions | another file that ends in .csv or .parquet |

    Args:
      path: folder or file.
      progress: called with (what, done, total) while a large tree is read.
      benchmark: AlgoPerf version, such as "v0.5": of a tree of logs, where it cannot be inferred; which of them is
        wanted, for tables that hold several.
      ruleset: only the trials of this one of AlgoPerf's rulesets, "external" or "self-tuning".

    Returns:
      Fractions for a table, Results for everything else.

    Raises:
      FileNotFoundError: nothing there.
      ValueError: nothing of the above, or something damaged; `benchmark` or `ruleset` for what has none to choose.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    if not path.is_dir():
        reading.check_file(path)
    is_table, is_study = path.is_file(), path.is_dir() and _holds_studies(path)
    is_parquet = path.is_dir() and any((path / name).exists() for name in FILES)
    if benchmark is not None and (is_table or is_study):
        raise ValueError(f"{path}: has no AlgoPerf version to choose; leave out --benchmark {benchmark}")
    if ruleset is not None and (is_table or is_study):
        raise ValueError(f"{path}: has no AlgoPerf ruleset to choose; leave out --ruleset {ruleset}")
    if is_table:
        return read_packed(path) if is_packed(path) else _table(path)
    if is_study:
        return read_studies(path)
    if is_parquet:
        results = read_algoperf_parquet(path, benchmark)
        return results if ruleset is None else results.of_ruleset(ruleset)
    if holds_trials(path):
        results = read_algoperf_logs(path, benchmark, progress)
        return results if ruleset is None else results.of_ruleset(ruleset)
    raise ValueError(
        f"{path}: nothing to read here; a source is a study (study.json), a tree of AlgoPerf logs "
        f"(study_<k>/<workload>_<jax|pytorch>/trial_<i>), a folder with {' and '.join(FILES)}, or a .csv or "
        ".parquet table with the columns point, workload, fraction"
    )


def _table(path: Path) -> Fractions:
    if path.name in FILES:
        raise ValueError(f"{path}: a part of AlgoPerf's tables; give its folder, {path.parent}")
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{path}: not a source; a file must be a table that ends in {' or '.join(SUFFIXES)}")
    return read_fraction_table(path)


def _holds_studies(folder: Path) -> bool:
    """Whether there is any; a folder that may not be looked into is no reason to take a tree of logs for studies."""
    paths = (folder, *reading.matching(folder, "*"))
    return any(os.path.exists(path / "study.json") for path in paths)
