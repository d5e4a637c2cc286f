"""A report as one HTML page: complete in itself, no script, no network, readable on paper and on a phone.

Every text is escaped: names come from logs, and logs come from anywhere. The page also forbids itself, by
its content security policy, to run scripts or to load anything.
"""

from __future__ import annotations

import functools
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from importlib import resources
from typing import TYPE_CHECKING

from reports.page._cells import cells, header
from reports.page._report import Picture, Report, Table
from workloads.shown import plain

if TYPE_CHECKING:
    import jinja2
    from markupsafe import Markup

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
BADGES = ("real", "embedded", "synthetic")


def render_page(report: Report, figures: Mapping[str, str], narrow: Mapping[str, str]) -> str:
    """The page of a report.

    Args:
      report: what it says.
      figures: picture name -> SVG.
      narrow: picture name -> SVG for phones, where there is one.

    Returns:
      HTML.
    """
    from markupsafe import Markup

    def inline(picture: Picture) -> Markup:
        wide = _inline_svg(figures[picture.name], picture.name, picture.alt)
        if picture.name not in narrow:
            return wide
        phone = _inline_svg(narrow[picture.name], f"{picture.name}-narrow", picture.alt)
        return Markup('<div class="wide">{}</div><div class="narrow">{}</div>').format(wide, phone)

    template = _environment().get_template("report.html.jinja")
    return template.render(report=report, inline=inline)


def _inline_svg(svg: str, name: str, alt: str) -> Markup:
    """An SVG document as an element of a page: its own ids, a description, a size that follows the column."""
    from markupsafe import Markup

    root = ElementTree.fromstring(svg)
    for parent in list(root.iter()):
        for child in list(parent):
            # Metadata says nothing to a reader; the style rule would reach the whole page, which states it
            # itself.
            if child.tag in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}style") or not isinstance(child.tag, str):
                parent.remove(child)
    for element in root.iter():
        for key, value in list(element.attrib.items()):
            # Figures of one page must not share ids.
            if key == "id":
                element.set(key, f"{name}-{value}")
            elif key == f"{{{_XLINK}}}href" and value.startswith("#"):
                element.set(key, f"#{name}-{value[1:]}")
            elif "url(#" in value:
                element.set(key, value.replace("url(#", f"url(#{name}-"))
    width = float(root.attrib.pop("width").removesuffix("pt")) * 96 / 72
    root.attrib.pop("height")
    root.attrib.pop("version", None)
    root.set("style", f"max-width:{width:.0f}px")
    root.set("role", "img")
    root.set("aria-label", plain(alt))
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _XLINK)
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _breakable(text: str) -> Markup:
    """A name that may break after a slash, an underscore or a hyphen, so that table columns stay narrow."""
    from markupsafe import Markup, escape

    pieces = re.split(r"(?<=[/_\-])", plain(text))
    return Markup("<wbr>").join(escape(piece) for piece in pieces)


def _numeric(table: Table) -> list[bool]:
    """Which columns hold numbers."""
    rows = cells(table)
    return [bool(rows) and all(row[i].numeric for row in rows) for i in range(len(header(table)))]


def _broad(table: Table) -> bool:
    """Whether a table is likely to be wider than the text, at some 7 px a letter and 18 px between columns.

    A column is as wide as its longest piece that does not break; text gets room for up to 20 letters.
    """
    rows = cells(table)
    width = 0
    for i, (title, note) in enumerate(header(table)):
        letters = max(map(len, [*re.split(r"(?<=[/_\-])| ", title), *note.split()]), default=0)
        for row in rows:
            length = len(row[i].text)
            # A spread is set small, below its value.
            letters = max(
                letters, length if row[i].numeric else min(length, 20), round(0.85 * len(row[i].spread))
            )
        width += 7 * letters + 18
    return width > 690


@functools.cache
def _environment() -> jinja2.Environment:
    import jinja2

    def load(name: str) -> str:
        return (resources.files("reports.page") / "templates" / name).read_text(encoding="utf-8")

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(load),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        breakable=_breakable,
        plain=plain,
        plain_lines=lambda text: "\n".join(map(plain, text.splitlines())),
        unbroken=lambda text: re.sub(r"(?<=\w)-(?=\w)", "\N{NON-BREAKING HYPHEN}", text),
        kind=lambda block: type(block).__name__,
        cells=cells,
        header=header,
        numeric=_numeric,
        broad=_broad,
        badge=lambda text: text if text in BADGES else "other",
    )
    return environment
