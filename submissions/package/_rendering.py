"""Templates filled with a user's words, and folders that appear whole or not at all."""

from __future__ import annotations

import functools
import importlib.resources
import json
import os
import shutil
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from workloads.data.files import naming


def render(template: str, values: Mapping[str, Any]) -> str:
    """A file of `templates/`, filled in."""
    return _templates().get_template(template).render(values)


def one_line(what: str, text: str, may_be_empty: bool = False) -> str:
    """One printable line: AlgoPerf's pull-request check reads submission_info.yml line by line.

    Raises:
      ValueError: nothing is left of the text, or it has characters that cannot be printed.
    """
    line = " ".join(text.split())
    if not line and not may_be_empty:
        raise ValueError(f"{what}: is empty; AlgoPerf's submissions need it")
    if not line.isprintable():
        raise ValueError(f"{what}: {line!r} has characters that cannot be printed; remove them")
    return line


def check_free(out: Path) -> None:
    """Refuses a folder that has something in it.

    Raises:
      FileExistsError: out exists and is not an empty folder.
    """
    if out.is_symlink() or (out.exists() and not (out.is_dir() and not any(out.iterdir()))):
        raise FileExistsError(f"{out}: exists already and is not an empty folder; choose another")


def write_folder(out: Path, files: Mapping[str, str | bytes]) -> Path:
    """All files or none: they are written into a hidden neighbour, which is then renamed.

    Raises:
      FileExistsError: out exists and is not an empty folder.
    """
    check_free(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    building = out.with_name(f".{out.name}.{os.getpid()}.building")
    try:
        with naming(out):
            building.mkdir()
        for file, content in files.items():
            with naming(out / file):
                (building / file).write_bytes(content if isinstance(content, bytes) else content.encode())
        os.replace(building, out)
    except OSError as error:
        # Somebody filled the folder meanwhile: a rename onto it is refused, and theirs stays.
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise FileExistsError(f"{out}: was made by another process meanwhile") from error
        raise
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return out


@functools.cache
def _templates() -> jinja2.Environment:
    # The values go into Python, YAML and Markdown, where escaping for HTML would only spoil them.
    templates = jinja2.Environment(
        loader=jinja2.FunctionLoader(_source),
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters["docstring"] = _for_docstring
    templates.filters["wrap"] = _wrap
    templates.filters["yaml"] = _for_yaml
    return templates


def _source(name: str) -> str:
    folder = importlib.resources.files("submissions.package").joinpath("templates")
    return folder.joinpath(*name.split("/")).read_text(encoding="utf-8")


def _wrap(text: str) -> str:
    # 88, less the opening quotes.
    return textwrap.fill(text, 85, break_long_words=False, break_on_hyphens=False)


def _for_docstring(text: str) -> str:
    return _wrap(text).replace("\\", "\\\\").replace('"""', r"\"\"\"")


def _for_yaml(text: str) -> str:
    # A JSON string is a YAML string. AlgoPerf's check cuts lines at "#", quoted or not.
    return json.dumps(text, ensure_ascii=False).replace("#", r"\x23")
