"""Numbers in the documents that the code knows better."""

from __future__ import annotations

import re
from pathlib import Path

from submissions.package.built_in import BUILT_IN
from submissions.validation import CODES

ROOT = Path(__file__).resolve().parent.parent
WORDS = {"ten": 10}


def test_the_change_log_counts_the_codes_of_validation():
    (count,) = re.findall(r"(\d+) kinds of faults", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    assert int(count) == len(CODES)


def test_the_page_on_validation_lists_every_code():
    listed = re.findall(
        r"^\| `?([A-Z]\d{3})", (ROOT / "docs/validate.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert sorted(listed) == sorted(CODES)


def test_the_page_on_packages_counts_and_lists_the_built_in_submissions():
    page = (ROOT / "docs/package.md").read_text(encoding="utf-8")
    (count,) = re.findall(r"None of the (\w+) has been scored", page)
    assert WORDS.get(count) == len(BUILT_IN)
    assert all(f"| `{name}` |" in page for name in BUILT_IN)
    # Which of them write Metz' warm-up under its own name.
    kept = re.search(r"keep their word", page)
    assert kept is not None
    sentence = page[: kept.end()].rpartition("the rules of Metz")[2]
    assert set(re.findall(r"`(nadamw_\w+)`", sentence)) & set(BUILT_IN) == {
        name for name, row in BUILT_IN.items() if row.optimizer == "nadamw_metz_code"
    }
