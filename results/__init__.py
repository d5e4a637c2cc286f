"""What happened: the record of trials, and readers of whatever holds results. Nothing here needs JAX.

    >>> import results
    >>> found = results.read_source("studies/first")  # doctest: +SKIP
    >>> results.fractions(results.hits(found))  # doctest: +SKIP
    >>> results.trials("studies/first")  # doctest: +SKIP

| part | holds |
|---|---|
| `results` | readers, trials and evaluations as tables, first hits, fractions |
| `results.studies` | our own record on disk |
| `results.algoperf` | AlgoPerf's logs |
| `results.curves` | learning curves of TaskSet's form, and the files they come in |
| `results.meta_trainings` | folders of meta-trainings: the record, kept weights, evaluations |
"""

from results._fraction_table import read_fraction_table
from results._fractions import Fractions, check_values, late, step_fractions
from results._frames import evaluations, trials
from results._hits import By, fractions, hits
from results._merged import merged
from results._packed import is_packed, read_packed, write_packed
from results._pool import choose_benchmark, choose_ruleset, choose_submission, pool
from results._reached import best_value, reached
from results._read_studies import read_studies
from results._results import EVAL_COLUMNS, TRIAL_COLUMNS, LeftOut, Results
from results._sources import read_source
from results.algoperf import read_algoperf_logs, read_algoperf_parquet
from results.curves import (
    Curves,
    convert_curves,
    read_curves,
    read_parameters,
)

__all__ = [
    "EVAL_COLUMNS",
    "TRIAL_COLUMNS",
    "By",
    "Curves",
    "Fractions",
    "LeftOut",
    "Results",
    "best_value",
    "check_values",
    "choose_benchmark",
    "choose_ruleset",
    "choose_submission",
    "convert_curves",
    "evaluations",
    "fractions",
    "hits",
    "is_packed",
    "late",
    "merged",
    "pool",
    "reached",
    "read_algoperf_logs",
    "read_algoperf_parquet",
    "read_curves",
    "read_fraction_table",
    "read_packed",
    "read_parameters",
    "read_source",
    "read_studies",
    "step_fractions",
    "trials",
    "write_packed",
]
