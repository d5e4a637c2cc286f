"""What our studies hold of the paper's protocol: which study is which row of its tables, and what is not there."""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import polars as pl

import lists
from reports._contenders import Contender
from reports.medapati._published import PublishedNumbers
from reports.study._facts import (
    Studies,
    StudyFacts,
    contender_of,
    left_out_by_candidates,
    read_facts,
    study_facts,
)
from reports.study._record import KINDS, REPLACES, provenance
from results import Fractions, LeftOut, Results, fractions, merged, read_source
from results.studies import find_studies

SEARCH, LEFT_OUT, LEFT_OUT_EXACT, VARIANTS = (
    "quasirandom",
    "leave-one-out",
    "leave-one-out-exact",
    "final-list-variants",
)
PARTS = ("studies", "final")  # of a protocol's folder
RANDOM, OF_SEARCH, OWN = "random-5", "leave-one-out-search", "medapati2025"


@dataclasses.dataclass(frozen=True)
class Method:
    """A row of the paper's tables.

    Attributes:
      label: how tables call it.
      study: whose trials it is.
      first: only so many points of it, in the order in which they were tried; None takes all.
      budget: trials that it is given on a workload.
    """

    label: str
    study: str
    first: int | None = None
    budget: int = 5


METHODS = {
    #  row                   what it is
    LEFT_OUT: Method("leave-one-out lists", LEFT_OUT),
    "lr-sweep-wd-0.5": Method("learning-rate sweep (decay 0.5)", "lr-sweep-wd-0.5"),
    "lr-sweep-wd-0.0001": Method("learning-rate sweep (decay 0.0001)", "lr-sweep-wd-0.0001"),
    "vizier-5": Method("Vizier with 5 trials", "vizier", first=5),
    "vizier-10": Method("Vizier with 10 trials", "vizier", first=10, budget=10),
    "metz2020-appendix_f": Method("first 5 of Metz et al.", "metz2020-appendix_f"),
    RANDOM: Method("random search of 5 (median)", "random"),
    "final-list": Method("the list of all eight", "final-list"),
    VARIANTS: Method("the list, on variants", VARIANTS),
    OWN: Method("the paper's own list", OWN),
    LEFT_OUT_EXACT: Method("exact leave-one-out lists of 4", LEFT_OUT_EXACT, budget=4),
}
BASELINES = (
    "lr-sweep-wd-0.5",
    "lr-sweep-wd-0.0001",
    "vizier-5",
    "metz2020-appendix_f",
)  # five trials, Table 5
STUDIES = (SEARCH, *dict.fromkeys(method.study for method in METHODS.values()))


@dataclasses.dataclass(frozen=True)
class Measured:
    """Our trials in the paper's terms. Workloads go by the paper's names; on variants by their base workload's.

    Attributes:
      studies: those of the protocol that are there.
      names: the paper's name -> our workload, of the base workloads that are there.
      variants: the same of the variants.
      candidates: step fractions of all candidate points; None without the search.
      rows: a key of `METHODS` -> what it reached, of those that are there; and of `OF_SEARCH`, the lists judged by the
        very trainings that the search made.
      missing: a key of `METHODS`, or the search -> why it has no row of ours, in words.
      random: the study that random search is drawn from: of points of its own, else the candidates; None without both.
      searched: the search and its left-out lists, as reports on studies judge them; None without the search.
      exact_points: workload -> the points of the exact list built without it; empty without the search.
      size, penalty: of lists.
    """

    studies: Studies
    names: Mapping[str, str]
    variants: Mapping[str, str]
    candidates: Fractions | None
    rows: Mapping[str, Contender]
    missing: Mapping[str, str]
    random: str | None
    searched: StudyFacts | None
    exact_points: Mapping[str, frozenset[str]]
    size: int
    penalty: float

    @property
    def judged(self) -> tuple[str, ...]:
        """The base workloads that have a target."""
        return tuple(name for name, workload in self.names.items() if workload in self.studies.judged)

    @property
    def judged_variants(self) -> tuple[str, ...]:
        """The base workloads whose variant is there and has a target."""
        return tuple(name for name, workload in self.variants.items() if workload in self.studies.judged)

    def complete(self, rows: Iterable[str]) -> dict[str, Contender]:
        """Those of these rows that were run on all base workloads with a target: others cannot be compared."""
        there = {row: self.rows[row] for row in rows if row in self.rows}
        wanted = set(self.judged)
        return {row: found for row, found in there.items() if wanted and wanted <= set(found.fractions)}

    @property
    def hero(self) -> str | None:
        """The row of the leave-one-out lists: trained anew, else judged by the search's own trainings."""
        return next((name for name in (LEFT_OUT, OF_SEARCH) if name in self.rows), None)

    @property
    def data(self) -> str:
        """What our workloads are, such as `embedded stand-ins, mini scale`."""
        ours = {*self.names.values(), *self.variants.values()}
        said = [text for workload, text in provenance(self.studies).items() if workload in ours]
        kinds = Counter(text.split(":", 1)[0] for text in said)
        found = [kind for kind in KINDS if kinds[kind]]
        if any(text.split(":", 1)[0] not in KINDS for text in said):
            found.append("of an origin that was not recorded")
        replaced = sum(REPLACES in text for text in said)
        words = " and ".join(found)
        if replaced:
            words += " stand-ins" if replaced == len(said) else f", {replaced} of {len(said)} stand-ins"
        scales = sorted({workload.partition("@")[2] for workload in ours})
        return f"{words}, {' and '.join(f'{scale} scale' if scale else 'whole size' for scale in scales)}"

    def lists_of(self, method: str, size: int) -> lists.LeaveOneOut | None:
        """Leave-one-out by the search's own trainings; None without a search on two workloads."""
        return _lists_of(self.candidates, method, size, self.penalty)

    def anew(self, study: str, points: int) -> Contender | None:
        """The first so many points of left-out lists that were trained anew; None where there are none."""
        rows = _first(self.hits_of(study), points)
        if rows.is_empty():
            return None
        return _under(contender_of(study, rows, self.studies.judged), self.names)

    def hits_of(self, study: str) -> pl.DataFrame:
        """A study's trials; of exact lists also those of the greedy lists' that an exact list is a part of."""
        return _hits_of(self.studies, study, self.exact_points)


def measured(source: Path | str | Results, numbers: PublishedNumbers, penalty: float) -> Measured:
    """Reads a folder of studies as the paper's protocol.

    Raises:
      FileNotFoundError, ValueError: the folder cannot be read, holds no study of the protocol on a workload of the
        paper, or holds a workload at two scales.
    """
    found = _of_protocol(source if isinstance(source, Results) else _read(Path(source)), numbers)
    studies = read_facts(found)
    base = {w.name: w.name for w in numbers.workloads}
    changed = {w.variant.name: w.name for w in numbers.workloads}
    names, variants = _named(studies, base), _named(studies, changed)
    left = studies.hits.filter(submission=LEFT_OUT).group_by("workload").agg(pl.col("point").n_unique())
    size = int(left["point"].max() or numbers.equal_budget.size)  # type: ignore[arg-type]
    candidates, rows, missing = None, {}, {}
    if SEARCH in studies.about:
        searched = studies.hits.filter(submission=SEARCH)
        judged = [w for w in names.values() if w in studies.judged and w in set(searched["workload"])]
        if judged:
            candidates = fractions(searched, by="steps", workloads=judged)
            size = min(size, len(candidates.points))
    if candidates is None:
        untold = f"the study {SEARCH} has no workload with a target"
        missing[SEARCH] = untold if SEARCH in studies.about else _why(found, SEARCH)
    random = None
    as_theirs = functools.partial(_as_theirs, studies=studies, numbers=numbers)
    exact_points = _exact_points(candidates, numbers.constructions.size, penalty)
    for name, method in METHODS.items():
        study = SEARCH if name == RANDOM and method.study not in studies.about else method.study
        rows_of = _hits_of(studies, study, exact_points)
        if rows_of.is_empty():
            missing[name] = _why(found, method.study)
            continue
        points = int(rows_of.group_by("workload").agg(pl.col("point").n_unique())["point"].max() or 0)  # type: ignore[arg-type]
        if name in (RANDOM, "vizier-5", "vizier-10") and points < method.budget:
            missing[name] = f"the study {study} has {points} points, fewer than {method.budget}"
        elif name == RANDOM:
            random = study
            rows[name] = as_theirs(_random(studies, study, method.label, size), names)
        else:
            kept = rows_of if method.first is None else _first(rows_of, method.first)
            row = contender_of(method.label, kept, studies.judged)
            rows[name] = as_theirs(row, variants if name == VARIANTS else names)
    facts = None
    if SEARCH in studies.about:
        of_search = [name for name in (SEARCH, LEFT_OUT) if name in studies.about]
        facts = study_facts(found.of_submissions(of_search), list_size=size, penalty=penalty)
    if candidates is not None and len(candidates.workloads) > 1:
        left = left_out_by_candidates(_searched(studies), candidates, size, penalty)
        label = f"{METHODS[LEFT_OUT].label} (search's trainings)"
        rows[OF_SEARCH] = as_theirs(dataclasses.replace(left, label=label), names)
    return Measured(
        studies, names, variants, candidates, rows, missing, random, facts, exact_points, size, penalty
    )


def _lists_of(found: Fractions | None, method: str, size: int, penalty: float) -> lists.LeaveOneOut | None:
    if found is None or len(found.workloads) < 2:
        return None
    return lists.leave_one_out(
        found.values, min(size, len(found.points)), penalty, method, places=found.places
    )


def _exact_points(found: Fractions | None, size: int, penalty: float) -> dict[str, frozenset[str]]:
    left = _lists_of(found, "exact", size, penalty)
    if found is None or left is None:
        return {}
    ids = (frozenset(found.points[p] for p in one.points) for one in left.lists)
    return dict(zip(found.workloads, ids, strict=True))


def _hits_of(studies: Studies, study: str, exact_points: Mapping[str, frozenset[str]]) -> pl.DataFrame:
    """The trials of a study.

    Exact lists that hold nothing which the greedy ones do not are not trained a second time: their trials are those of
    the greedy lists.
    """
    rows = studies.hits.filter(submission=study)
    if study != LEFT_OUT_EXACT:
        return rows
    found = [rows]
    for workload, points in exact_points.items():
        if workload not in rows["workload"]:
            greedy = studies.hits.filter(
                pl.col("point").is_in(points), submission=LEFT_OUT, workload=workload
            )
            if set(greedy["point"]) == points:
                found.append(greedy)
    return pl.concat(found)


def _read(path: Path) -> Results:
    """A folder of studies, the folder of a protocol, or what was packed of either.

    In the folder of a protocol those of the list that has seen all workloads stand apart.
    """
    packed = [part for name in PARTS if (part := path / f"{name}.parquet").is_file()]
    parts = packed or ([path / name for name in PARTS] if (path / PARTS[0]).is_dir() else [path])
    begun = packed or [p for p in parts if any((study / "trials").is_dir() for study in find_studies(p))]
    every = []
    for part in begun or parts[:1]:
        read = read_source(part)
        if isinstance(read, Fractions) or read.kind != "study":
            raise ValueError(
                f"{part}: no studies; a report on the protocol needs those that 'shortlist reproduce' makes"
            )
        every.append(read)
    return merged(*every)


def _of_protocol(found: Results, numbers: PublishedNumbers) -> Results:
    """The studies of the protocol, on the paper's workloads, in the paper's order; the rest is told as left out."""
    order = [*numbers.names, *(w.variant.name for w in numbers.workloads)]
    place = {name: i for i, name in enumerate(order)}
    ours = {name: place.get(plain_name(name)) for name in found.trials["workload"].unique()}
    there = [name for name in found.submissions if name in STUDIES]
    kept = found.of_submissions(there)
    trials = kept.trials.with_columns(
        place=pl.col("workload").replace_strict(ours, return_dtype=pl.Int64)
    ).filter(pl.col("place").is_not_null())
    if trials.is_empty():
        raise ValueError(
            f"{found.source}: no study of the protocol on a workload of the paper; names of studies: "
            f"{', '.join(STUDIES)}; of workloads: algoperf/{', '.join(numbers.names)}"
        )
    strange = [LeftOut(name, "no study of the protocol") for name in found.submissions if name not in there]
    strange += [
        LeftOut(name, "no workload of the paper")
        for name in sorted(kept.trials["workload"].unique())
        if ours[name] is None
    ]
    trials = trials.sort("place", maintain_order=True)
    return dataclasses.replace(
        kept,
        trials=trials.drop("place"),
        evals=kept.evals.join(trials, on="trial_id", how="semi", maintain_order="left"),
        left_out=(*kept.left_out, *strange),
    )


def plain_name(workload: str) -> str:
    """A workload's name without folder and scale.

    Example:
      >>> plain_name("algoperf/imagenet_vit@mini")
      'imagenet_vit'
    """
    return workload.rpartition("/")[2].partition("@")[0]


def _named(studies: Studies, wanted: Mapping[str, str]) -> dict[str, str]:
    """The paper's name -> our workload, of those that are there."""
    found: dict[str, str] = {}
    for workload in studies.workloads:
        name = wanted.get(plain_name(workload))
        if name is None:
            continue
        if name in found:
            raise ValueError(
                f"{studies.results.source}: holds {found[name]} and {workload}; a report is on one scale, keep them in "
                "folders apart"
            )
        found[name] = workload
    return found


def _why(found: Results, study: str) -> str:
    begun = study in found.about.get("studies", {})
    return f"no trial of the study {study} is finished" if begun else f"no study {study}"


def _first(rows: pl.DataFrame, points: int) -> pl.DataFrame:
    """Of one study the trials of the first so many points on each workload, in the order in which it names them."""
    order = rows.group_by("workload", "point").agg(pl.col("trial").min())
    first = order.filter(pl.col("trial").rank("ordinal").over("workload") <= points)
    return rows.join(first, on=["workload", "point"], how="semi", maintain_order="left")


def _searched(studies: Studies) -> Studies:
    """The studies as if the search were the only one of candidates, which random search may be too."""
    about = {SEARCH: studies.about[SEARCH]}
    return dataclasses.replace(studies, about=about)


def _random(studies: Studies, study: str, label: str, size: int) -> Contender:
    """Random search of so many points: the median over all subsets of the points drawn, and its quartiles."""
    rows = studies.hits.filter(submission=study)
    found: dict[str, dict[str, tuple[float, float, float]]] = {"fraction": {}, "best": {}}
    for workload in rows["workload"].unique(maintain_order=True):
        sign = 1.0 if studies.metrics[workload][1] else -1.0
        values = {"best": sign * studies.best_values(study, workload)}
        if workload in studies.judged:
            values["fraction"] = fractions(rows, workloads=[workload]).values[:, 0]
        for what, of_points in values.items():
            if len(of_points) >= size:
                low, middle, high = (lists.quantile_of_best(of_points, size, q) for q in (0.25, 0.5, 0.75))
                found[what][workload] = low, middle, high
    signs = {w: 1.0 if studies.metrics[w][1] else -1.0 for w in found["best"]}
    return Contender(
        label,
        {w: middle for w, (_, middle, _) in found["fraction"].items()},
        {w: signs[w] * middle for w, (_, middle, _) in found["best"].items()},
        str(size),
        searches={w: (low, high) for w, (low, _, high) in found["fraction"].items()},
        best_searches={
            w: (min(signs[w] * low, signs[w] * high), max(signs[w] * low, signs[w] * high))
            for w, (low, _, high) in found["best"].items()
        },
    )


def _as_theirs(
    row: Contender, names: Mapping[str, str], *, studies: Studies, numbers: PublishedNumbers
) -> Contender:
    """A contender on the workloads of these names, under them, by the metrics that the paper prints.

    What we call accuracy it prints as error, 1 - accuracy; a metric that is better the other way round is left out.
    """
    row = _under(row, names)
    best, by_repeat, searches = dict(row.best), dict(row.best_by_repeat), dict(row.best_searches)
    for printed in numbers.workloads:
        if printed.name not in names:
            continue
        metric, minimize, _ = studies.metrics[names[printed.name]]
        if (printed.metric, metric) == ("error", "accuracy"):
            if printed.name in best:
                best[printed.name] = 1.0 - best[printed.name]
            if printed.name in by_repeat:
                by_repeat[printed.name] = tuple(1.0 - value for value in by_repeat[printed.name])
            if printed.name in searches:
                low, high = searches[printed.name]
                searches[printed.name] = 1.0 - high, 1.0 - low
        elif minimize != printed.minimize:
            for values in (best, by_repeat, searches):
                values.pop(printed.name, None)
    return dataclasses.replace(row, best=best, best_by_repeat=by_repeat, best_searches=searches)


def _under(row: Contender, names: Mapping[str, str]) -> Contender:
    """A contender on the workloads of these names, under them."""
    fields = ("fractions", "best", "by_repeat", "best_by_repeat", "searches", "best_searches")
    of_names = {
        field: {name: getattr(row, field)[w] for name, w in names.items() if w in getattr(row, field)}
        for field in fields
    }
    return dataclasses.replace(row, **of_names)


def trained_at_random(found: Measured) -> tuple[int, np.ndarray] | None:
    """The points that random search is drawn from, and the probabilities that so many as a list has train 0, 1, ... of
    the base workloads; None without a random search on all of them."""
    if found.random is None:
        return None
    rows = found.studies.hits.filter(submission=found.random)
    judged = [found.names[name] for name in found.judged]
    if not judged or not set(judged) <= set(rows["workload"]):
        return None
    values = fractions(rows, workloads=judged).values
    return (len(values), lists.trained_by_random(values, found.size)) if len(values) >= found.size else None
