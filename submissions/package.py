"""NAdamW with a list of points, as a folder that AlgoPerf can run.

The folder imports JAX and AlgoPerf and nothing of ours: see `templates/`, which hold the code as a
researcher will read it. Importable without JAX.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import importlib.resources
import json
import math
import os
import re
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

import submissions

RULESETS = ("external", "self-tuning")

# Global batch sizes of AlgoPerf's JAX baselines; variants not named here take their base workload's.
BATCH_SIZES = {
    "criteo1tb": 262_144,
    "fastmri": 32,
    "imagenet_resnet": 1024,
    "imagenet_resnet_silu": 512,  # these two activations need more memory
    "imagenet_resnet_gelu": 512,
    "imagenet_vit": 1024,
    "librispeech_conformer": 256,
    "librispeech_deepspeech": 256,
    "ogbg": 512,
    "wmt": 128,
    "finewebedu_lm": 64,
    "mnist": 16,
    "cifar": 128,
}


_WARMUP_COSINE = (
    "Learning rate lr: with T = workload.step_hint and w = int(warmup_factor * T), it rises linearly from 0 "
    "to learning_rate over the first w updates (the first has rate 0), falls to 0 along half a cosine at "
    "update T, and stays 0."
)
_METZ = (
    "Learning rate lr: with T = workload.step_hint, it is learning_rate until update constant_fraction * T, "
    "then falls along half a cosine to min_learning_rate_mult * learning_rate at update T, and stays there. "
    "If warmup_fraction > 0, it first rises linearly from 0 over "
)


@dataclasses.dataclass(frozen=True)
class UpdateRule:
    """How a row of `submissions.OPTIMIZERS` is written down in a submission of its own."""

    formula: str  # one update of x; lr is the scheduled learning rate
    source: str  # whose rule it is
    schedule: str
    settings_template: str  # reading a point; the schedule
    update_template: str
    warmup_name: str = "warmup_factor"  # AlgoPerf's word for warmup_fraction


RULES = {
    "nadamw_optax": UpdateRule(
        formula=(
            "m = b1 * m + (1 - b1) * g\n"
            "v = b2 * v + (1 - b2) * g^2\n"
            "u = b1 * m / (1 - b1^(t+1)) + (1 - b1) * g / (1 - b1^t)\n"
            "x = x - lr * (u / (sqrt(v / (1 - b2^t)) + epsilon) + weight_decay * x)"
        ),
        source=(
            "This is optax.nadamw as Optax 0.2.8 defines it, written out so that the installed version of "
            "Optax does not matter; the list of Medapati et al., arXiv:2503.03986, was made for it. "
            "AlgoPerf's own NAdamW baselines correct the momentum differently."
        ),
        schedule=_WARMUP_COSINE,
        settings_template="settings_cosine.py.j2",
        update_template="update_nadamw_optax.py.j2",
    ),
    "nadamw_algoperf": UpdateRule(
        formula=(
            "m = b1 * m + (1 - b1) * g\n"
            "v = b2 * v + (1 - b2) * g^2\n"
            "u = (b1 * m + (1 - b1) * g) / (1 - b1^t)\n"
            "x = x - lr * (u / (sqrt(v / (1 - b2^t)) + epsilon) + weight_decay * x)"
        ),
        source=(
            "This is the rule of AlgoPerf's NAdamW baselines (Dahl et al., arXiv:2306.07179; Choi et al., "
            "arXiv:1910.05446, Table 1). optax.nadamw corrects the momentum differently: its first steps are "
            "shorter. A grad_clip > 0 first scales the whole gradient by min(1, grad_clip / (norm + 1e-6))."
        ),
        schedule=_WARMUP_COSINE,
        settings_template="settings_cosine.py.j2",
        update_template="update_nadamw_algoperf.py.j2",
    ),
    "nadamw_metz_code": UpdateRule(
        formula=(
            "g = g - l2_weight_decay * x\n"
            "m = b1 * m + (1 - b1) * g\n"
            "v = b2 * v + (1 - b2) * g^2\n"
            "c = sqrt(1 - b2^t) / (1 - b1^t)\n"
            "x = x - lr * c * (m / (sqrt(v) + epsilon) + adamw_weight_decay * x)"
        ),
        source=(
            "This is what the program of Metz et al., arXiv:2002.11887, does, with which the curves behind "
            "their list were made. It departs from the paper's equations: epsilon stays outside the bias "
            "correction, the correction scales the weight decay too, the L2 term is subtracted from the "
            "gradient, and use_nesterov is never read."
        ),
        schedule=f"{_METZ}min(warmup_fraction, constant_fraction) * T updates.",
        settings_template="settings_metz.py.j2",
        update_template="update_nadamw_metz_code.py.j2",
        warmup_name="warmup_fraction",
    ),
    "nadamw_metz_code_ported": UpdateRule(
        formula=(
            "g = g - l2_weight_decay * x\n"
            "m = b1 * m + (1 - b1) * g\n"
            "v = b2 * v + (1 - b2) * g^2\n"
            "u = b1 * m + (1 - b1) * g  if use_nesterov, else  u = m\n"
            "c = sqrt(1 - b2^t) / (1 - b1^t)\n"
            "x = x - lr * c * (u / (sqrt(v) + epsilon) + adamw_weight_decay * x)"
        ),
        source=(
            "This is the rule of the JAX and PyTorch programs that replay the list of Metz et al., "
            "arXiv:2002.11887. It departs from the paper's equations: epsilon stays outside the bias "
            "correction, the correction scales the weight decay too, and the L2 term is subtracted from the "
            "gradient. Against the program with which the list was learnt, it obeys use_nesterov and warms "
            "up for longer."
        ),
        schedule=f"{_METZ}max(warmup_fraction, constant_fraction) * T updates.",
        settings_template="settings_metz.py.j2",
        update_template="update_nadamw_metz_code.py.j2",
        warmup_name="warmup_fraction",
    ),
}


def package(
    out: Path | str,
    *,
    name: str,
    points: Sequence[Mapping[str, float]],
    update_rule: str,
    authors: str,
    provenance: str,
    affiliations: str = "",
    description: str | None = None,
    ruleset: str = "external",
    version: str = "1.0",
) -> Path:
    """Writes an AlgoPerf submission: NAdamW with these points, in this order.

    The folder holds submission.py, tuning_search_space.json (external ruleset only), submission_info.yml,
    requirements.txt, README.md and __init__.py. It appears whole or not at all, and equal arguments give
    equal bytes. Values are written exactly: reading the JSON gives the same floats.

    Args:
      out: folder to make; must not exist, or be empty. Its last component becomes submission_folder and part
        of a Python module's name: lower-case letters, digits and underscores, starting with a letter.
      name: as it will appear on the leaderboard; one line.
      points: hyperparameter name -> value, all with the same names, as `submissions.OPTIMIZERS` has them;
        exactly one point for self-tuning.
      update_rule: a name in `submissions.OPTIMIZERS`.
      authors: names separated by commas; AlgoPerf insists on them.
      provenance: where the list comes from, in one sentence.
      affiliations: of the authors, separated by commas.
      description: one sentence for the leaderboard; made from the other arguments if None.
      ruleset: "external" (a list, tried in order) or "self-tuning" (one point, inside submission.py).
      version: of the submission, chosen by its authors.

    Returns:
      The folder.

    Raises:
      FileExistsError: out exists and is not an empty folder. Nothing is overwritten.
      ValueError: an unusable folder name, text, rule, ruleset or point.

    Example:
      >>> points = [{"learning_rate": 1e-3}, {"learning_rate": 1e-2}]
      >>> package("my_list", name="My list", points=points, update_rule="nadamw_optax",
      ...         authors="A. Author", provenance="chosen by hand")  # doctest: +SKIP
      PosixPath('my_list')
    """
    out = Path(out)
    if not re.fullmatch(r"[a-z][a-z0-9_]*", out.name):
        raise ValueError(
            f"out: the folder name {out.name!r} cannot be a submission's; "
            "use lower-case letters, digits and underscores, starting with a letter"
        )
    if update_rule not in RULES:
        raise ValueError(f"unknown update rule {update_rule!r}; known: {', '.join(sorted(RULES))}")
    if ruleset not in RULESETS:
        raise ValueError(f"unknown ruleset {ruleset!r}; known: {', '.join(RULESETS)}")
    rule = RULES[update_rule]
    exported = search_space(points, update_rule)
    self_tuning = ruleset == "self-tuning"
    if self_tuning and len(exported) != 1:
        raise ValueError(f"the self-tuning ruleset takes exactly one point, not {len(exported)}")
    described = "one fixed point" if len(exported) == 1 else f"a list of {len(exported)} fixed points"
    if description is None:
        description = f"NAdamW, update rule {update_rule}, with {described}, the same for every workload."

    name = _line("name", name)
    kind = "self-tuning" if self_tuning else "external tuning"
    values = {
        "name": name,
        "headline": f"{name}: a submission to AlgoPerf's {kind} ruleset, in JAX.",
        "description": _line("description", description),
        "authors": _line("authors", authors),
        "affiliations": _line("affiliations", affiliations, may_be_empty=True),
        "version": _line("version", version),
        "provenance": _line("provenance", provenance),
        "folder": out.name,
        "update_rule": update_rule,
        "rule": rule,
        "options": submissions.optimizer(update_rule).options,
        "points": exported,
        "ruleset": ruleset,
        "self_tuning": self_tuning,
        "batch_sizes": BATCH_SIZES,
        "shortlist_version": _shortlist_version(),
    }
    templates = _templates()
    files = {
        file: templates.get_template(f"{file}.j2").render(values)
        for file in ("submission.py", "submission_info.yml", "requirements.txt", "README.md")
    }
    files["__init__.py"] = ""
    if not self_tuning:
        files["tuning_search_space.json"] = json.dumps(exported, indent=2, allow_nan=False) + "\n"
    return _write_folder(out, files)


def search_space(points: Sequence[Mapping[str, float]], update_rule: str) -> list[dict[str, float]]:
    """The points in AlgoPerf's list form: a list of objects with equal keys, in the order of the points.

    A value keeps the spelling it was given (beta1 or one_minus_beta1), so that it stays the same float; what
    the points leave out is written as the rule's default, so that the file says all.

    Args:
      points: hyperparameter name -> finite number; all use the same names.
      update_rule: a key of `RULES`.

    Raises:
      ValueError: no points, or a point with an unknown, missing, doubled or differing name, or a value
        outside its domain.

    Example:
      >>> point = {"learning_rate": 1e-3, "one_minus_beta1": 0.1, "warmup_fraction": 0.02}
      >>> written = search_space([point], "nadamw_optax")[0]
      >>> written["warmup_factor"], written["one_minus_beta1"], written["beta2"]
      (0.02, 0.1, 0.999)
    """
    if not points:
        raise ValueError("points: the list is empty; a submission needs at least one point")
    written = []
    for number, point in enumerate(points):
        where = f"points[{number}]"
        for name, value in point.items():
            if not _is_finite_number(value):
                raise ValueError(f"{where}: {name} is {value!r}; it must be a finite number")
        canonical = submissions.optimizer(update_rule).canonical(point, where=where)
        different = sorted(set(point) ^ set(points[0]))
        if different:
            raise ValueError(
                f"{where}: AlgoPerf wants equal names in all points, but only one of points[0] and this one "
                f"has {', '.join(different)}"
            )
        written.append(_spelt_as_given(canonical, point, RULES[update_rule].warmup_name))
    return written


def _spelt_as_given(
    canonical: Mapping[str, float], point: Mapping[str, float], warmup_name: str
) -> dict[str, float]:
    written = {}
    for name, value in canonical.items():
        if f"one_minus_{name}" in point:
            # Not 1 - value: that would not be the number that was tuned.
            written[f"one_minus_{name}"] = float(point[f"one_minus_{name}"])
        elif name == "warmup_fraction":
            written[warmup_name] = value
        elif name != "grad_clip" or name in point:  # a grad_clip of 0 would stop AlgoPerf's own baselines
            written[name] = value
    return written


def _is_finite_number(value: Any) -> bool:
    try:
        return not isinstance(value, str) and math.isfinite(float(value))
    except (TypeError, ValueError):
        return False


def _line(what: str, text: str, may_be_empty: bool = False) -> str:
    """One printable line: AlgoPerf's pull-request check reads submission_info.yml line by line."""
    line = " ".join(text.split())
    if not line and not may_be_empty:
        raise ValueError(f"{what}: is empty; AlgoPerf's submissions need it")
    if not line.isprintable():
        raise ValueError(f"{what}: {line!r} has characters that cannot be printed; remove them")
    return line


def _templates() -> jinja2.Environment:
    folder = importlib.resources.files("submissions") / "templates"
    sources = {file.name: file.read_text() for file in folder.iterdir() if file.name.endswith(".j2")}
    # The values go into Python, YAML and Markdown, where escaping for HTML would only spoil them.
    templates = jinja2.Environment(
        loader=jinja2.DictLoader(sources),
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


def _wrap(text: str) -> str:
    return textwrap.fill(text, 86, break_long_words=False, break_on_hyphens=False)


def _for_docstring(text: str) -> str:
    return _wrap(text).replace("\\", "\\\\").replace('"""', r"\"\"\"")


def _for_yaml(text: str) -> str:
    # A JSON string is a YAML string. AlgoPerf's check cuts lines at "#", quoted or not.
    return json.dumps(text, ensure_ascii=False).replace("#", r"\x23")


def _shortlist_version() -> str:
    try:
        return importlib.metadata.version("shortlist")
    except importlib.metadata.PackageNotFoundError:
        return ""


def _write_folder(out: Path, files: Mapping[str, str]) -> Path:
    """All files or none: they are written into a hidden neighbour, which is then renamed."""
    if out.is_symlink() or (out.exists() and not (out.is_dir() and not any(out.iterdir()))):
        raise FileExistsError(f"{out}: exists already and is not an empty folder; choose another")
    out.parent.mkdir(parents=True, exist_ok=True)
    building = out.with_name(f".{out.name}.{os.getpid()}.building")
    building.mkdir()
    try:
        for file, text in files.items():
            (building / file).write_text(text, encoding="utf-8")
        os.replace(building, out)
    except OSError as error:
        # Somebody filled the folder meanwhile: a rename onto it is refused, and theirs stays.
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise FileExistsError(f"{out}: was made by another process meanwhile") from error
        raise
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return out
