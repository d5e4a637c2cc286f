"""The folder: which files are there, and what submission_info.yml and requirements.txt say."""

from __future__ import annotations

import re
from pathlib import Path

from submissions.validation._source import ENVIRONMENT, Source
from submissions.validation.findings import Finding
from workloads.data import reading

SEARCH_SPACE = "tuning_search_space.json"
REQUIRED = ("submission_name", "submission_folder", "authors", "ruleset")  # the pull request's check insists

# Packages that AlgoPerf pins exactly, and whose version decides how fast a step is.
PINNED = (
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "chex",
    "numpy",
    "ml-dtypes",
    "torch",
    "torchvision",
    "tensorflow",
    "algoperf",
)

# Distribution -> import name, where they differ in ways that hyphens do not explain.
IMPORT_NAMES = {"scikit-learn": "sklearn", "pyyaml": "yaml", "pillow": "PIL", "scikit-image": "skimage"}


def file_findings(submission: Path, source: Source | None, ruleset: str) -> list[Finding]:
    """Faults of the folder itself.

    Args:
      submission: the path of submission.py, which may be missing.
      source: its code, None if it is missing.
      ruleset: "external" or "self-tuning".
    """
    folder = submission.parent
    findings = []
    if source is None:
        findings.append(Finding("F101", f"{folder} has no {submission.name}"))
    name = folder.resolve().name
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        findings.append(
            Finding("F109", f"the folder's name {name!r} has characters that no module's name has")
        )
    has_space = (folder / SEARCH_SPACE).is_file()
    if ruleset == "external" and not has_space:
        findings.append(Finding("F102", f"{SEARCH_SPACE} is missing"))
    if ruleset == "self-tuning" and has_space:
        findings.append(
            Finding("F103", "there is a search space that this ruleset does not allow", SEARCH_SPACE)
        )
    findings += _info_findings(folder, ruleset)
    requirements = required_packages(folder)
    findings += _pin_findings(folder)
    if source is not None:
        findings += source.findings
        findings += _import_findings(source, requirements)
    return findings


def _info_findings(folder: Path, ruleset: str) -> list[Finding]:
    file = "submission_info.yml"
    if not (folder / file).is_file():
        return [Finding("F104", f"{file} is missing")]
    values, lines = {}, {}
    for number, line in enumerate(
        (folder / file).read_text(encoding="utf-8", errors="replace").splitlines(), 1
    ):
        # AlgoPerf's check cuts every line at the first "#", quoted or not, so this one does too.
        match = re.match(r"([A-Za-z_]+)\s*:\s*(.*)", line.split("#")[0])
        if match:
            values[match[1]] = match[2].strip().strip("\"'")
            lines[match[1]] = number
    findings = []
    for key in REQUIRED:
        if not values.get(key):
            what = f"{key} is empty" if key in values else f"{key} is missing"
            findings.append(Finding("F104", what, file, lines.get(key, 0)))
    stated = values.get("ruleset", "").lower().replace("_", "-").replace(" ", "-").removesuffix("-tuning")
    if stated and stated != ruleset.removesuffix("-tuning"):
        message = f"ruleset is {values['ruleset']!r}, but {ruleset!r} was validated"
        findings.append(Finding("F105", message, file, lines["ruleset"]))
    framework = values.get("framework", "")
    if framework and framework.lower() != "jax":
        findings.append(Finding("F105", f"framework is {framework!r}, not JAX", file, lines["framework"]))
    return findings


def _requirement_files(folder: Path) -> list[Path]:
    return reading.matching(folder, "requirements*.txt")


def required_packages(folder: Path) -> set[str]:
    """Import names that requirements files can be taken to provide."""
    names = set()
    for file in _requirement_files(folder):
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            egg = re.search(r"egg=([A-Za-z0-9_.-]+)", line) or re.search(
                r"/([A-Za-z0-9_.-]+?)(?:\.git)?(?:@|$)", line
            )
            plain = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", line)
            match = egg if "://" in line else plain
            if match and not line.lstrip().startswith("#"):
                name = match[1].lower()
                names |= {IMPORT_NAMES.get(name, name), name.replace("-", "_").replace(".", "_")}
    return names


def _pin_findings(folder: Path) -> list[Finding]:
    findings = []
    for file in _requirement_files(folder):
        for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            match = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*([=<>!~]=?)", line)
            if match and match[1].lower().replace("_", "-") in PINNED:
                findings.append(
                    Finding("F108", f"{line.strip()}: the benchmark has its own version", file.name, number)
                )
    return findings


def _import_findings(source: Source, requirements: set[str]) -> list[Finding]:
    if requirements - ENVIRONMENT - {name.replace("-", "_") for name in PINNED}:
        return []  # what those packages bring along is not written down
    findings, seen = [], set()
    for found in source.imports:
        key = (found.package, found.module.name)
        if found.guarded or found.package in ENVIRONMENT or key in seen or found.package == "torch":
            continue
        seen.add(key)
        findings.append(
            Finding("F107", f"imports {found.package}, which nothing provides", found.module.name, found.line)
        )
    return findings
