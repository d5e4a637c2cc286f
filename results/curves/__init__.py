"""Learning curves of TaskSet"s form: released archives, tables, our own studies."""

from results.curves._archives import (
    SPLITS,
    CurveArchive,
    archive_paths,
    family,
    read_archive,
    read_replica_means,
    read_task_names,
    write_archive,
)
from results.curves._convert import Converted, convert_curves
from results.curves._curves import Curves, read_curves
from results.curves._studies import SPLIT_OF_ROLE, curves_of_studies, read_parameters
from results.curves._table import archives_to_table, read_table, table_to_archives, write_table

__all__ = [
    "SPLITS",
    "SPLIT_OF_ROLE",
    "Converted",
    "CurveArchive",
    "Curves",
    "archive_paths",
    "archives_to_table",
    "convert_curves",
    "curves_of_studies",
    "family",
    "read_archive",
    "read_curves",
    "read_parameters",
    "read_replica_means",
    "read_table",
    "read_task_names",
    "table_to_archives",
    "write_archive",
    "write_table",
]
