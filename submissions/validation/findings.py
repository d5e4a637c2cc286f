"""A finding: one fault of one submission, of a kind that `CODES` describes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from submissions.validation._codes import CODES, Severity


@dataclasses.dataclass(frozen=True)
class Finding:
    """One fault of one submission.

    Attributes:
      code: a key of `CODES`.
      message: what was found here.
      file: relative to the submission's folder; empty where no file is to blame.
      line: from 1; 0 where no line is to blame.
      workload: in which workload's dry run, if in one.
    """

    code: str
    message: str
    file: str = ""
    line: int = 0
    workload: str = ""

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise ValueError(f"unknown code {self.code!r}; known: {', '.join(CODES)}")

    @property
    def severity(self) -> Severity:
        """`error` or `warning`, by the code."""
        return CODES[self.code].severity

    @property
    def remedy(self) -> str:
        """What to do about it, by the code."""
        return CODES[self.code].remedy

    @property
    def place(self) -> str:
        """file:line, as far as known."""
        return f"{self.file}:{self.line}" if self.line else self.file

    def to_json(self) -> dict[str, object]:
        """A flat object for `--json`."""
        return {
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "file": self.file or None,
            "line": self.line or None,
            "workload": self.workload or None,
            "remedy": self.remedy,
        }


def has_errors(findings: list[Finding]) -> bool:
    """Whether any finding is an error."""
    return any(finding.severity == "error" for finding in findings)


def in_order(findings: list[Finding]) -> list[Finding]:
    """Errors first, then by code, place and workload; no two alike."""
    unique = dict.fromkeys(findings)
    return sorted(
        unique, key=lambda f: (f.severity != "error", f.code, f.file, f.line, f.workload, f.message)
    )


def table() -> str:
    """The codes as a Markdown table, as docs/validate.md has it."""
    rows = ["| code | severity | what is wrong | remedy |", "|---|---|---|---|"]
    rows += [f"| {name} | {code.severity} | {code.means} | {code.remedy} |" for name, code in CODES.items()]
    return "\n".join(rows)


def relative(path: Path, folder: Path) -> str:
    """A path as findings name it: relative to the folder where it lies inside."""
    try:
        return str(path.resolve().relative_to(folder.resolve()))
    except ValueError:
        return str(path)
