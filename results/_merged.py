"""Results of several sources as one."""

from __future__ import annotations

import dataclasses

import polars as pl

from results._results import Results


def merged(first: Results, *others: Results) -> Results:
    """All trials of several results, numbered anew; what each says of itself is kept, and the first names the source.

    Args:
      first, others: of one kind, with submissions of different names.

    Raises:
      ValueError: kinds differ, or two hold a submission of one name.
    """
    every = (first, *others)
    if len(kinds := sorted({one.kind for one in every})) > 1:
        raise ValueError(f"results of {' and '.join(kinds)} cannot be merged; give one kind")
    names = [name for one in every for name in one.submissions]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        where = [one.source for one in every if twice[0] in one.submissions]
        raise ValueError(f"{' and '.join(where)} both hold {twice[0]!r}; names must differ")
    trials, evals, taken = [], [], 0
    for one in every:
        numbers = one.trials.select("trial_id", number=pl.int_range(pl.len(), dtype=pl.Int64) + taken)
        taken += len(numbers)
        trials.append(_numbered(one.trials, numbers))
        evals.append(_numbered(one.evals, numbers))
    about: dict[str, object] = {}
    for one in every:
        for topic, said in one.about.items():
            there = about.get(topic)
            both = isinstance(said, dict) and isinstance(there, dict)
            about[topic] = {**there, **said} if both else said  # type: ignore[dict-item]
    return dataclasses.replace(
        first,
        trials=pl.concat(trials, how="diagonal_relaxed"),
        evals=pl.concat(evals, how="diagonal_relaxed"),
        left_out=tuple(item for one in every for item in one.left_out),
        about=about,
        warnings=tuple(dict.fromkeys(line for one in every for line in one.warnings)),
    )


def _numbered(table: pl.DataFrame, numbers: pl.DataFrame) -> pl.DataFrame:
    columns = table.columns
    joined = table.join(numbers, on="trial_id", how="left", maintain_order="left")
    return joined.with_columns(trial_id="number").select(columns)
