"""What happened: the record of trials, and readers of whatever holds results. Nothing here needs JAX."""

from results._fraction_table import read_fraction_table
from results._fractions import Fractions, check_values, step_fractions
from results._hits import By, fractions, hits
from results._pool import choose_benchmark, choose_submission, pool
from results._reached import best_value, reached
from results._read_studies import read_studies
from results._results import EVAL_COLUMNS, TRIAL_COLUMNS, LeftOut, Results
from results._sources import read_source
from results.algoperf import read_algoperf_logs, read_algoperf_parquet, step_warnings
from results.curves import (
    Converted,
    CurveArchive,
    Curves,
    archive_paths,
    archives_to_table,
    convert_curves,
    curves_of_studies,
    family,
    read_archive,
    read_curves,
    read_parameters,
    read_replica_means,
    read_table,
    read_task_names,
    table_to_archives,
    write_archive,
    write_table,
)

__all__ = [
    "EVAL_COLUMNS",
    "TRIAL_COLUMNS",
    "By",
    "Converted",
    "CurveArchive",
    "Curves",
    "Fractions",
    "LeftOut",
    "Results",
    "archive_paths",
    "archives_to_table",
    "best_value",
    "check_values",
    "choose_benchmark",
    "choose_submission",
    "convert_curves",
    "curves_of_studies",
    "family",
    "fractions",
    "hits",
    "pool",
    "reached",
    "read_algoperf_logs",
    "read_algoperf_parquet",
    "read_archive",
    "read_curves",
    "read_fraction_table",
    "read_parameters",
    "read_replica_means",
    "read_source",
    "read_studies",
    "read_table",
    "read_task_names",
    "step_fractions",
    "step_warnings",
    "table_to_archives",
    "write_archive",
    "write_table",
]
