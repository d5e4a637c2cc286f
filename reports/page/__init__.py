"""A report as data, and the folder it becomes."""

from reports.page._csv import csv_bytes
from reports.page._markdown import markdown_table
from reports.page._report import (
    Block,
    Code,
    Column,
    Gallery,
    Note,
    Picture,
    Prose,
    Report,
    Section,
    Table,
    draw_picture,
    file_stem,
)
from reports.page._write import write_report

__all__ = [
    "Block",
    "Code",
    "Column",
    "Gallery",
    "Note",
    "Picture",
    "Prose",
    "Report",
    "Section",
    "Table",
    "csv_bytes",
    "draw_picture",
    "file_stem",
    "markdown_table",
    "write_report",
]
