"""A study keeps the user's own files that it trains, and refuses to go on with others once it has begun."""

from __future__ import annotations

from pathlib import Path

import workloads
from results import studies
from tuning.execution.jobs import SentFile
from workloads import own_files
from workloads.data import reading
from workloads.data.files import write_atomically, write_once
from workloads.own_files import OwnFile


def own_workload(folder: Path, name: str) -> OwnFile | None:
    """The file that defines a workload of a study, if that is a user's own: as it was named, or the study's copy."""
    named, copy = workloads.own_file(name), studies.workload_copy(folder, name)
    if named is not None or not copy.is_file():
        return named
    return own_files.version(copy)[0]


def sent(own: OwnFile) -> SentFile:
    """A user's own file as it travels, in the version that this process has imported."""
    return SentFile(own.path, own.sha256, own_files.content(own))


def keep_workload(folder: Path, name: str, file: OwnFile, begun: bool) -> None:
    """Stores the file of a user's own workload with the study.

    Args:
      folder: of the study.
      name: of the workload.
      file: that defines it.
      begun: there are trials of it, or somebody trains some.

    Raises:
      ValueError: they are of another version of the file, or of a workload of that name that was not in a file.
    """
    check_workload(folder, name, file, begun)
    keep_file(studies.workload_copy(folder, name), Path(file.path), own_files.content(file), begun)


def check_workload(folder: Path, name: str, file: OwnFile, begun: bool) -> None:
    """Raises what `keep_workload` would, and writes nothing."""
    kept = studies.workload_copy(folder, name)
    if begun and not kept.exists():
        raise ValueError(
            f"{file.path}: this study has trials of a workload {name!r} that was not in a file; choose another folder"
        )
    if begun and kept.read_bytes() != own_files.content(file):
        raise ValueError(_changed(Path(file.path), kept))


def keep_file(kept: Path, file: Path, content: bytes, begun: bool) -> None:
    """Stores a user's own file with the study.

    Args:
      kept: where.
      file, content: what.
      begun: something was trained with what is kept; until then a mistake may be mended.

    Raises:
      ValueError: the file has changed since the study began, so its trials would be of two optimizers or workloads.
    """
    if write_once(kept, content) or kept.read_bytes() == content:
        return
    if begun:
        raise ValueError(_changed(file, kept))
    write_atomically(kept, content)


def _changed(file: Path, kept: Path) -> str:
    return (
        f"{file}: has changed since this study began, with what is now in {kept}; choose another folder, or restore "
        "the file"
    )


def any_trained(folder: Path, workload: str) -> bool:
    """Whether a study has a finished cohort of a workload."""
    return bool(reading.matching(studies.cohort_path(folder, workload, 0).parent, "[0-9]*.parquet"))
