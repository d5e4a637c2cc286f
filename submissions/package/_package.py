"""An optimizer with points or ranges, as a folder that AlgoPerf can run.

The folder imports JAX, Optax and AlgoPerf and nothing of ours: `templates/` hold what is AlgoPerf's, and the rule is
carried as it stands in its file. Importable without JAX.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import submissions
from submissions.learned import UNTUNED, LearnedOptimizer, weight_files
from submissions.optimizers import _exported
from submissions.optimizers._declaration import MEDAPATI
from submissions.optimizers._hyperparameters import Optimizer
from submissions.optimizers.own import OwnOptimizer
from submissions.package._rendering import one_line, render, write_folder

RULESETS = ("external", "self-tuning")
WEIGHTS = "weights.msgpack"  # of a learned optimizer, in its folder
NO_VALIDATION = (
    "The rule asks for validation losses every {period} steps where it may have them. AlgoPerf's interface gives none "
    "between evaluations, so here it does without."
)
TRIALS = 5  # that AlgoPerf's external ruleset allows

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


def package(
    out: Path | str,
    *,
    name: str,
    optimizer: str | Optimizer,
    points: Sequence[Mapping[str, float]] | None = None,
    search_space: Mapping[str, Mapping[str, Any]] | None = None,
    ruleset: str = "external",
    authors: str,
    provenance: str | None = None,
    adds: int | None = None,
    affiliations: str = "",
    description: str | None = None,
    version: str = "1.0",
    evidence: str = "",
) -> Path:
    """Writes an AlgoPerf submission: an optimizer with a list of points or with ranges to search.

    The folder holds submission.py, optimizer.py with the rule, tuning_search_space.json (external ruleset only),
    weights.msgpack (a learned optimizer's only), submission_info.yml, requirements.txt, README.md, pull_request.md and
    __init__.py. It appears whole or not at all,
    and equal arguments give equal bytes. Values are written exactly: reading the JSON gives the same floats.

    Args:
      out: folder to make; must not exist, or be empty. Its last component becomes submission_folder and part
        of a Python module's name: lower-case letters, digits and underscores, starting with a letter.
      name: as it will appear on the leaderboard; one line.
      optimizer: a name in `submissions.OPTIMIZERS`, or what `submissions.optimizer` gives for a user's own or a learned
        one.
      points: hyperparameter name -> value, all with the same names; tried in this order. Exactly one for self-tuning; a
        learned optimizer has that without being given it.
      search_space: ranges instead of points, as tuning_search_space.json data. Neither: the optimizer's own space, or
        that of Medapati et al., Table 1, for a NAdamW without one.
      ruleset: "external" or "self-tuning", where the one point is inside submission.py.
      authors: names separated by commas; AlgoPerf insists on them.
      provenance: where the points or the ranges come from, in one sentence; must be given with either.
      adds: how many of the points, the first ones, lower the cost of the list on the workloads that it was built on;
        the others are marked in README.md. None where it is not known: then none is marked.
      affiliations: of the authors, separated by commas.
      description: one sentence for the leaderboard; made from the other arguments if None.
      version: of the submission, chosen by its authors.
      evidence: for the pull request: why it should be fast, with links.

    Returns:
      The folder.

    Raises:
      FileExistsError: out exists and is not an empty folder. Nothing is overwritten.
      ValueError: an unusable folder name, text, optimizer, ruleset, point or range.

    Example:
      >>> points = [{"learning_rate": 1e-3}, {"learning_rate": 1e-2}]
      >>> package("my_list", name="My list", points=points, optimizer="nadamw_optax",
      ...         authors="A. Author", provenance="chosen by hand")  # doctest: +SKIP
      PosixPath('my_list')
    """
    out = Path(out)
    if not re.fullmatch(r"[a-z][a-z0-9_]*", out.name):
        raise ValueError(
            f"out: the folder name {out.name!r} cannot be a submission's; "
            "use lower-case letters, digits and underscores, starting with a letter"
        )
    if ruleset not in RULESETS:
        raise ValueError(f"unknown ruleset {ruleset!r}; known: {', '.join(RULESETS)}")
    chosen = submissions.optimizer(optimizer) if isinstance(optimizer, str) else optimizer
    carried = chosen.carried_source()
    self_tuning = ruleset == "self-tuning"
    learned = chosen if isinstance(chosen, LearnedOptimizer) else None
    if learned is not None and points is None and search_space is None:
        points, provenance = [UNTUNED], provenance or "the optimizer as it was trained"
    searched = _searched(chosen, points, search_space, self_tuning, provenance, adds)
    given = searched.points[0] if self_tuning else list(searched.space or searched.points[0])
    reads = _exported.reads(given, chosen)
    what = f"{chosen.name}, a learned optimizer," if learned else chosen.name
    if learned is not None and "continuation" in learned.switches:
        raise ValueError(
            "a package does not go on past the steps that it was told; leave the switch continuation out"
        )
    if learned is not None and learned.switches:
        what += " of " + ", ".join(f"{key} {value}" for key, value in learned.switches.items())
    values = {
        "name": one_line("name", name),
        "description": one_line(
            "description", description or f"{what} with {searched}, the same for every workload."
        ),
        "authors": one_line("authors", authors),
        "affiliations": one_line("affiliations", affiliations, may_be_empty=True),
        "version": one_line("version", version),
        "provenance": one_line("provenance", searched.provenance),
        "evidence": one_line("evidence", evidence, may_be_empty=True) or "None yet: it has not been scored.",
        "folder": out.name,
        "optimizer": chosen,
        "imports": _imports(chosen),
        "own": chosen if isinstance(chosen, OwnOptimizer) else None,
        "learned": None,
        "reads": reads,
        "points": searched.points,
        "adds": len(searched.points) if searched.adds is None else searched.adds,
        "space": searched.space,
        "ruleset": ruleset,
        "self_tuning": self_tuning,
        "trials": TRIALS,
        "batch_sizes": BATCH_SIZES,
        "shortlist_version": _shortlist_version(),
    }
    files: dict[str, str | bytes] = {}
    if learned is not None:
        about_weights, files[WEIGHTS] = _weights(learned)
        values["learned"] = about_weights
    info = render("submission_info.yml.j2", values)
    files |= {
        file: render(f"{file}.j2", values | {"submission_info": info.strip()})
        for file in ("submission.py", "requirements.txt", "README.md", "pull_request.md")
    }
    files |= {"submission_info.yml": info, "__init__.py": "", "optimizer.py": carried}
    if not self_tuning:
        data = searched.space or searched.points
        files["tuning_search_space.json"] = json.dumps(data, indent=2, allow_nan=False) + "\n"
    return write_folder(out, files)


@dataclasses.dataclass(frozen=True)
class _Weights:
    """What templates say of a file of weights."""

    file: str
    sha256: str
    numbers: int
    size: int
    wrapped: bool  # it holds more than the weights
    validation: str  # that is missing, in a sentence; "" where none is


def _weights(optimizer: LearnedOptimizer) -> tuple[_Weights, bytes]:
    """About the file that a folder carries, and its content: that of the file given, unless it is in PyLO's layout."""
    read, content = weight_files.parse(optimizer.content), optimizer.content
    if read.layout != "flax":
        content = weight_files.flax_bytes(read.weights)
        read = weight_files.parse(content)
    about = _Weights(
        WEIGHTS, read.sha256, read.numbers, read.size, bool(read.around), without_validation(optimizer)
    )
    return about, content


def without_validation(optimizer: Optimizer) -> str:
    """A sentence on validation losses that an optimizer asks for and does not have in AlgoPerf; "" if it asks none."""
    period = optimizer.rule.validation_period if isinstance(optimizer, LearnedOptimizer) else None
    return "" if period is None else NO_VALIDATION.format(period=period)


@dataclasses.dataclass(frozen=True)
class _Searched:
    """What a submission tries: points, or ranges where there is a space. In words, as a string."""

    points: list[_exported.Point]
    space: _exported.Space | None
    provenance: str
    adds: int | None = None  # how many of the points lower the list's cost

    def __str__(self) -> str:
        if self.space is not None:
            return f"a search space of {len(self.space)} dimensions"
        if len(self.points) == 1:
            return "one fixed point"
        if self.adds in (None, len(self.points)):
            return f"a list of {len(self.points)} fixed points"
        lower = "lowers" if self.adds == 1 else "lower"
        return f"a list of {len(self.points)} fixed points, {self.adds} of which {lower} its cost"


def _searched(
    optimizer: Optimizer,
    points: Sequence[Mapping[str, float]] | None,
    space: Mapping[str, Mapping[str, Any]] | None,
    self_tuning: bool,
    provenance: str | None,
    adds: int | None,
) -> _Searched:
    if adds is not None and not 0 <= adds <= len(points or ()):
        raise ValueError(f"adds is {adds}; must be from 0 to {len(points or ())}, the number of points")
    if points is not None and space is not None:
        raise ValueError("points and search_space were both given; give one of them")
    if self_tuning and (points is None or len(points) != 1):
        raise ValueError(
            f"the self-tuning ruleset takes exactly one point, not {'ranges' if points is None else len(points)}"
        )
    if points is not None:
        return _Searched(_exported.exported_points(points, optimizer), None, provenance or "", adds)
    if space is None:
        if not optimizer.hyperparameters:
            raise ValueError(
                f"optimizer {optimizer.name!r} has no hyperparameters to search; give points=[{{}}]"
            )
        space = optimizer.search_space or MEDAPATI
        provenance = provenance or _source_of_own_space(optimizer)
    return _Searched([], _exported.exported_space(space, optimizer), provenance or "")


def _imports(optimizer: Optimizer) -> list[str]:
    """What submission.py takes from optimizer.py: name, or name as another, in alphabetical order."""
    names = {optimizer.make.__name__: optimizer.make.__name__ if optimizer.options else "optimizer"}
    if isinstance(optimizer, LearnedOptimizer):
        names |= {"Rule": "Rule", "Seen": "Seen"}
    for role in ("evaluated", "gradient_at"):
        if function := getattr(optimizer, role):
            names[function.__name__] = role
    return [name if name == role else f"{name} as {role}" for name, role in sorted(names.items())]


def _source_of_own_space(optimizer: Optimizer) -> str:
    if isinstance(optimizer, OwnOptimizer):
        return f"the ranges declared with {optimizer.make.__name__}"
    if optimizer.search_space is None or optimizer.search_space == MEDAPATI:
        return "Medapati et al. 2025, arXiv:2503.03986, Table 1"
    return f"the search space of {optimizer.name} in Shortlist, made from the papers of the rule"


def _shortlist_version() -> str:
    try:
        return importlib.metadata.version("shortlist")
    except importlib.metadata.PackageNotFoundError:
        return ""
