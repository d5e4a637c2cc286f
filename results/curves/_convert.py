"""Curves from one form into another."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from results import studies
from results._results import LeftOut
from results.curves._archives import CurveArchive, write_archive
from results.curves._curves import read_curves, with_parameters
from results.curves._studies import curves_of_studies, read_parameters
from results.curves._table import archives_to_table, read_table, table_to_archives, write_table


@dataclasses.dataclass(frozen=True)
class Converted:
    """What a conversion wrote.

    Attributes:
      files: paths, in order of task.
      tasks, curves: how many of each.
      bytes: of all files together.
      first_step: at which the last curves to begin do so; 0 where all tell of the loss before training.
      left_out: what of the source could not be converted, and why.
    """

    files: tuple[Path, ...]
    tasks: int
    curves: int
    bytes: int
    first_step: int
    left_out: tuple[LeftOut, ...]

    def to_json(self) -> dict[str, Any]:
        """The JSON object of `shortlist curves convert --json`."""
        return {
            "files": [str(path) for path in self.files],
            "tasks": self.tasks,
            "curves": self.curves,
            "bytes": self.bytes,
            "first_step": self.first_step,
            "left_out": [item.to_json() for item in self.left_out],
        }


def convert_curves(
    source: Path,
    out: Path,
    *,
    facts: Path | None = None,
    parameters: Mapping[str, int] | None = None,
    overwrite: bool = False,
) -> Converted:
    """Converts curves of any source into a table (a path ending in .parquet) or a folder of released files.

    Args:
      source: what `read_curves` reads.
      out: where to.
      facts: output of `shortlist workloads --json`, for the numbers of parameters in a table.
      parameters: task or workload -> number of parameters, in place of such a file.
      overwrite: replace files that are there.

    Raises:
      FileNotFoundError, ValueError: the source cannot be read.
      FileExistsError: a file is there and `overwrite` is off; nothing was written.
    """
    parameters = read_parameters(facts) if facts else parameters
    left_out: tuple[LeftOut, ...] = ()
    if studies.find_studies(source):
        table, left_out = curves_of_studies(source, parameters)
    elif source.is_file() and source.suffix != ".npz":
        table = with_parameters(read_table(source), parameters)
    else:
        table = archives_to_table(read_curves(source), f"released curves, read from {source.name}")
        table = with_parameters(table, parameters)
    archives = table_to_archives(table)
    if out.suffix == ".parquet":
        _check_free([out], overwrite)
        write_table(out, table)
        files = (out,)
    else:
        _check_free([out / archive.task / archive.filename for archive in archives], overwrite)
        files = _write_all(out, archives)
    return Converted(
        files=files,
        tasks=table["task"].n_unique(),
        curves=table.height,
        bytes=sum(path.stat().st_size for path in files),
        first_step=max(int(archive.xs[0]) for archive in archives),
        left_out=left_out,
    )


def _write_all(out: Path, archives: Sequence[CurveArchive]) -> tuple[Path, ...]:
    """Writes archives; where one cannot be written, those that are new go again, so that asking again works."""
    new: list[Path] = []
    files = []
    try:
        for archive in archives:
            path = out / archive.task / archive.filename
            if not path.exists():
                new.append(path)
            files.append(write_archive(out, archive))
    except BaseException:
        for path in new:
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # others are in it
                path.parent.rmdir()
        raise
    return tuple(files)


def _check_free(paths: list[Path], overwrite: bool) -> None:
    present = [path for path in paths if path.exists()]
    if present and not overwrite:
        raise FileExistsError(f"{present[0]}: exists already; choose another place, or ask to overwrite it")
