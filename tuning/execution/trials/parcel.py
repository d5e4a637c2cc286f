"""The files of a trial's folder as one piece of bytes, with what is said about them. Nothing here needs JAX."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from workloads.data.files import is_temporary

MOST = 256 << 20  # bytes of a file that travels, as text within a message
_ABOUT = "about.json"  # what is said; no trial has a file of that name


def names(folder: Path) -> list[str]:
    """The files of a trial's folder; none where there is none."""
    if not folder.is_dir():
        return []
    return sorted(file.name for file in folder.iterdir() if file.is_file() and not is_temporary(file.name))


def too_big(folder: Path) -> list[str]:
    """Those of them that do not travel: checkpoints of big models."""
    return [name for name in names(folder) if (folder / name).stat().st_size > MOST]


def said(count: int) -> str:
    """So many bytes, in words."""
    return f"{count >> 20} MiB"


def pack(folder: Path, about: Mapping[str, Any], without: Collection[str] = ()) -> bytes:
    """The files of a folder, but for those that are too big.

    Args:
      folder: of a trial.
      about: plain data that goes with them.
      without: names of others that do not go.
    """
    packed, stay = io.BytesIO(), too_big(folder)
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as files:
        files.writestr(_ABOUT, json.dumps({**about, "names": names(folder), "stay": stay}))
        for name in names(folder):
            if name not in stay and name not in without:
                how = zipfile.ZIP_STORED if name.endswith(".npz") else zipfile.ZIP_DEFLATED
                files.write(folder / name, name, how)
    return packed.getvalue()


def opened(content: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    """What `pack` was told, with the `names` of all files and of those that `stay`, and the others by name.

    Raises:
      ValueError: it is nothing that `pack` made.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as files:
            about = json.loads(files.read(_ABOUT))
            found = {name: files.read(name) for name in files.namelist() if name != _ABOUT}
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise ValueError(f"not the files of a trial: {error}") from error
    for name in {*found, *about["names"]}:
        if name != Path(name).name:
            raise ValueError(f"not the files of a trial: one of them is called {name!r}")
    return about, found
