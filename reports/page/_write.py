"""The folder that a report becomes.

out/index.html       one page, complete in itself
out/tables/*.csv     every table in full precision; *.md as shown
out/figures/*.svg    every figure; *.png; *.csv, the table it was drawn from
out/report.json      marks the folder as a report and names its files; the finding and its caveats; the function and
                     the options that draw each figure from its CSV
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import uuid
from pathlib import Path

from reports.figures import drawing
from reports.page._csv import csv_bytes
from reports.page._markdown import markdown_table
from reports.page._page import render_page
from reports.page._report import Report
from workloads.data import reading
from workloads.data.files import naming

MARKER = "report.json"
FORMAT = "shortlist-report/1"


def write_report(content: Report, out: Path, *, overwrite: bool = False) -> Path:
    """Writes a report as a folder, all of it or nothing.

    The folder is made beside its place and renamed: file by file a reader could meet a page with figures of another.
    An existing folder is replaced only if a report wrote
    every file in it and `overwrite` is set; anything else is never touched.

    Args:
      content: what to write.
      out: folder to make; missing parents are made too.
      overwrite: replace an earlier report at the same place.

    Returns:
      The path of `index.html`.

    Raises:
      FileExistsError: something is at `out` that may not be replaced.
    """
    out = Path(os.path.realpath(out))
    _check_free(out, overwrite)

    figures = {picture.name: drawing.as_svg(picture.figure) for picture in content.pictures}
    narrow = {picture.name: drawing.as_svg(picture.narrow) for picture in content.pictures if picture.narrow}
    files: dict[str, bytes] = {"index.html": render_page(content, figures, narrow).encode()}
    for table in content.tables:
        files[f"tables/{table.name}.csv"] = csv_bytes(table.data)
        files[f"tables/{table.name}.md"] = markdown_table(table).encode()
    for picture in content.pictures:
        files[f"figures/{picture.name}.svg"] = figures[picture.name].encode()
        files[f"figures/{picture.name}.png"] = drawing.as_png(picture.figure)
        if picture.data is not None:
            files[f"figures/{picture.name}.csv"] = csv_bytes(picture.data)
    marker = {
        "format": FORMAT,
        "title": content.title,
        "finding": content.finding,
        "caveats": list(content.caveats),
        "figures": {
            p.name: {"function": p.drawn_by, "options": dict(p.options)} for p in content.pictures if p.drawn_by
        },
        "files": sorted(files),
    }  # fmt: skip
    files[MARKER] = json.dumps(marker, indent=1, ensure_ascii=False).encode() + b"\n"

    beside = out.with_name(f".{out.name}.{uuid.uuid4().hex}.tmp")
    try:
        for name, data in files.items():
            path = beside / name
            with naming(out / name):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
        _put_in_place(beside, out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return out / "index.html"


def _check_free(out: Path, overwrite: bool) -> None:
    """Raises FileExistsError unless `out` may be written, PermissionError where it cannot be known."""
    if not out.exists():
        return
    if not out.is_dir():
        raise FileExistsError(f"{out}: is a file; a report is a folder, choose another path")
    present = {str(path.relative_to(out)) for path in reading.walk_files(out)}
    if not present:
        return
    try:
        marker = json.loads((out / MARKER).read_text())
        ours = {*marker["files"], MARKER} if marker["format"] == FORMAT else None
    except (OSError, ValueError, KeyError, TypeError):
        ours = None
    if ours is None:
        raise FileExistsError(f"{out}: not empty and not a report of this version; choose another folder")
    foreign = sorted(present - ours)
    if foreign:
        raise FileExistsError(
            f"{out}: holds {foreign[0]!r}, which no report wrote; move it or choose another folder"
        )
    if not overwrite:
        raise FileExistsError(
            f"{out}: holds an earlier report; overwrite it (--overwrite) or choose another folder"
        )
    for folder in {(out / name).parent for name in present}:
        if not os.access(folder, os.W_OK | os.X_OK):  # what steps aside could not be removed then
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))


def _put_in_place(beside: Path, out: Path) -> None:
    """Renames a finished folder to its place; an earlier one steps aside first and comes back on failure."""
    aside = beside.with_suffix(".old")
    earlier = out.exists()
    if earlier:
        os.replace(out, aside)
    try:
        os.replace(beside, out)
    except OSError:
        if earlier:
            os.replace(aside, out)
        raise
    shutil.rmtree(aside, ignore_errors=True)
