"""Which construction of lists holds best on workloads that it never saw.

    python -m benchmarks.constructions SOURCE... [--resamplings 50] [--only TEXT] [--json FILE]

Sources: studies of one set of candidates (joined, one column per workload; of what is packed the search), a folder of
AlgoPerf's logs (submissions as points, by time), curve files of TaskSet's form. From each come problems, some easy and
some hard:

* studies: today's targets, and harder ones that 3 % and 1.5 % of the candidates reach; from all candidates and from
  random halves of them (`--resamplings`); lists learnt on all workloads but one, and on three of them.
* logs: all workloads but one, from all points and from random halves; three of them.
* curves: normalised losses and targets that 5 % and 3 % of the points reach; lists learnt on 8 tasks and on half of
  them, judged on all others.

Every list is judged on columns that it never saw, and whatever a construction chooses (`nested`, `best-penalty`) it
chooses without them. A row says by how many per cent C_tau of the lists on these columns lies above that of greedy's
lists of the same length: below 0 is better. Intervals (95 %) resample the workloads judged, each with its mean over
all resamplings: resamplings share workloads, and are not evidence of their own.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import math
import pathlib
import time
from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

import lists
import results
from benchmarks.reached_targets import PAPER, fractions_of

SIZES = (1, 2, 3, 5)
FEW = 3  # workloads to learn from, where that is few
LOSSES = ", losses"  # ends the name of a source without targets
LEAVES = 16  # so many columns at most are left out one by one; of more, random halves and eights build
SEARCH = "quasirandom"  # the study of what is packed that holds the candidates


@dataclasses.dataclass(frozen=True)
class Library:
    """Fractions of points on workloads, and by what the points are ranked.

    Attributes:
      source, name: what it is made of; what its targets are.
      values, places, by_repeat: as `lists.construct` takes them.
      judged: values that lists are judged by.
      penalty: tau.
      workloads: names of the columns, where they are those of workloads that can be loaded.
    """

    source: str
    name: str
    values: np.ndarray
    places: np.ndarray | None
    by_repeat: np.ndarray | None = None
    judged: np.ndarray | None = None
    penalty: float = lists.PENALTY
    workloads: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Split:
    """Rows to choose from, columns that build, columns that judge."""

    rows: np.ndarray
    train: np.ndarray
    test: np.ndarray


@dataclasses.dataclass(frozen=True)
class Beside:
    """A construction beside greedy on one problem.

    Attributes:
      cost, trained: left-out cost, and how many left-out workloads reach their target, by size.
      by_size: by how many per cent the cost lies above greedy's.
      mean, interval: the same over sizes, and its interval.
      better_on, worse_on: on how many workloads.
      by_workload: difference of the logarithms, over sizes.
    """

    cost: list[float]
    trained: list[float]
    by_size: list[float]
    mean: float
    interval: tuple[float, float]
    better_on: int
    worse_on: int
    by_workload: list[float]


@dataclasses.dataclass(frozen=True)
class Problem:
    """What was compared on one problem, on which workloads."""

    source: str
    title: str
    splits: int
    rows: dict[str, Beside]
    workloads: tuple[str, ...] = ()


def at_share(
    best: np.ndarray, curves: np.ndarray, when: np.ndarray, share: float
) -> tuple[np.ndarray, np.ndarray]:
    """Fractions and places by the target that a share of the points reach. Lower curves are better."""
    target = np.sort(best)[max(round(share * len(best)), 1) - 1]
    hit = np.minimum.accumulate(curves, axis=1) <= target
    fractions = np.where(hit.any(axis=1), when[hit.argmax(axis=1)], np.inf)
    return fractions, pl.Series(best).rank("average").to_numpy()


def of_studies(paths: Sequence[pathlib.Path], everything: bool) -> Iterator[Library]:
    """Today's targets, and harder ones; of base workloads alone unless everything is wanted."""
    today: dict[str, results.Fractions] = {}
    curves: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for path in paths:
        read = results.read_source(path)
        assert isinstance(read, results.Results)
        if path.is_file():
            read = read.of_submissions([SEARCH])
        if (found := fractions_of(read)) is not None:
            today |= {name: found.of_workloads([name]) for name in found.workloads}
        for name in read.trials["workload"].unique().sort():
            curves[name] = _metrics(read, name)
    for kept in () if everything else (today, curves):
        for name in [
            name for name in kept if name.removeprefix("algoperf/").removesuffix("@mini") not in PAPER
        ]:
            kept.pop(name)
    named = f"{len(curves)} workloads"
    if today:
        values = np.concatenate([one.values for one in today.values()], axis=1)
        places = np.concatenate([one.places for one in today.values()], axis=1)  # type: ignore[arg-type]
        yield Library(
            "studies", f"{len(today)} workloads, today's targets", values, places, workloads=tuple(today)
        )
    for share in (0.03, 0.015):
        found = [at_share(table.min(axis=1), table, when, share) for when, table in curves.values()]
        values, places = (np.stack(part, axis=1) for part in zip(*found, strict=True))
        yield Library(
            "studies", f"{named}, targets of {100 * share:g} %", values, places, workloads=tuple(curves)
        )


def _metrics(read: results.Results, workload: str) -> tuple[np.ndarray, np.ndarray]:
    """Fractions of the budget at which was evaluated, and [point, evaluation] of the metric, lower better."""
    trials = read.trials.filter(workload=workload).sort("trial")
    sign = 1.0 if trials["minimize"][0] else -1.0
    evals = read.evals.join(trials.select("trial_id", "trial"), on="trial_id").sort("trial", "global_step")
    table = evals.with_columns(pl.col("validation_metric") * sign).fill_null(math.inf)
    steps = table["global_step"].unique().sort().to_numpy() / trials["step_hint"][0]
    return steps, table["validation_metric"].to_numpy().reshape(len(trials), len(steps))


def of_logs(path: pathlib.Path) -> Iterator[Library]:
    """All submissions' points by time, one library per benchmark version and ruleset."""
    read = results.read_source(path)
    assert isinstance(read, results.Results)
    for (version, ruleset), part in read.comparable().items():
        found = results.pool(part, by="time", submission="all")
        if np.isfinite(found.values).any(axis=0).sum() >= 6:
            yield Library(
                f"logs {version}",
                f"{ruleset}, {len(found.points)} points",
                found.values,
                found.places,
                found.by_repeat,
            )


def of_curves(path: pathlib.Path) -> Iterator[Library]:
    """Normalised losses, and targets made from them."""
    read = results.read_curves(path)
    costs = lists.choose_set(lists.task_costs(read), None)
    # Of e^cost, with tau = e, the logarithm of min(f, tau) is the cost, at most 1: the mean over tasks is Metz'.
    values, judged = (np.where(table < 1.0, np.exp(table), np.inf) for table in (costs.costs, costs.judging))
    places = np.stack([pl.Series(column).rank("average").to_numpy() for column in costs.costs.T], axis=1)
    yield Library(
        path.stem + LOSSES,
        f"{len(costs.tasks)} tasks, normalised losses",
        values,
        places,
        judged=judged,
        penalty=math.e,
        workloads=costs.tasks,
    )
    tables = []
    for task in costs.tasks:
        archive = next(one for one in read.read(task) if one.optimizer_set == costs.optimizer_set)
        losses = archive.losses("valid_outer").astype(np.float64)
        mean = np.where(np.isfinite(losses), losses, np.inf).mean(axis=1)
        tables.append((np.maximum(archive.xs, 1) / archive.xs[-1], mean))
    for share in (0.05, 0.03) if len(costs.points) < 200 else (0.01,):
        found = [at_share(table.min(axis=1), table, when, share) for when, table in tables]
        values, places = (np.stack(part, axis=1) for part in zip(*found, strict=True))
        yield Library(
            path.stem,
            f"{len(costs.tasks)} tasks, targets of {100 * share:g} %",
            values,
            places,
            workloads=costs.tasks,
        )


def splits_of(library: Library, resamplings: int) -> Iterator[tuple[str, list[Split]]]:
    """Named ways of leaving workloads out."""
    points, workloads = library.values.shape
    generator = np.random.default_rng(0)
    everything = np.arange(points)

    def half() -> np.ndarray:
        return np.sort(generator.permutation(points)[: points // 2])

    def left_out(rows: np.ndarray) -> list[Split]:
        columns = np.arange(workloads)
        return [Split(rows, np.delete(columns, w), columns[w : w + 1]) for w in range(workloads)]

    def some(count: int, times: int, halve: bool) -> list[Split]:
        found = []
        for _ in range(times):
            order = generator.permutation(workloads)
            rows = half() if halve else everything
            found.append(Split(rows, np.sort(order[:count]), np.sort(order[count:])))
        return found

    if workloads > LEAVES:
        yield "learnt on 8", some(8, 50, halve=False)
        yield "learnt on half", some(workloads // 2, 50, halve=False)
        return
    yield "all but one, all points", left_out(everything)
    yield "all but one, half of the points", [s for _ in range(resamplings) for s in left_out(half())]
    yield f"learnt on {FEW}, half of the points", some(FEW, 2 * resamplings, halve=True)


def contenders(library: Library) -> list[str]:
    """The constructions that this can be done for."""
    return [name for name in lists.CONSTRUCTIONS if name != "cautious" or library.by_repeat is not None]


def judge(library: Library, splits: Sequence[Split]) -> dict[str, np.ndarray]:
    """Construction -> log of the left-out cost [size, workload], a mean over the splits that judge it.

    `trained, ` and the name is how many of these reach their target.
    """
    judged = library.values if library.judged is None else library.judged
    workloads, worst = judged.shape[1], math.log(library.penalty)
    logs = np.log(np.minimum(judged, library.penalty))
    sums: dict[str, np.ndarray] = {}
    times = np.zeros(workloads)
    for split in splits:
        times[split.test] += 1
        part = np.ix_(split.rows, split.train)
        places = None if library.places is None else library.places[part]
        by_repeat = None if library.by_repeat is None else library.by_repeat[part]
        build = functools.partial(lists.construct, library.values[part], places=places, by_repeat=by_repeat)
        for name in contenders(library):
            grows = lists.CONSTRUCTIONS[name].grows
            whole = build(SIZES[-1], library.penalty, name)
            for k, size in enumerate(SIZES):
                chosen = whole.first(size) if grows else build(size, library.penalty, name)
                reached = logs[np.ix_(split.rows[list(chosen.points)], split.test)].min(axis=0)
                for key, value in ((name, reached), (f"trained, {name}", reached < worst)):
                    sums.setdefault(key, np.zeros((len(SIZES), workloads)))[k, split.test] += value
    return {key: value / np.maximum(times, 1) for key, value in sums.items()}


def compare(found: dict[str, np.ndarray]) -> dict[str, Beside]:
    """Construction -> how it does beside greedy."""
    rows = {}
    for label, costs in found.items():
        if label.startswith("trained, "):
            continue
        less = costs - found["greedy"]
        by_workload = less.mean(axis=0)
        low, high = lists.bootstrap_interval(by_workload)
        rows[label] = Beside(
            cost=np.exp(costs.mean(axis=1)).tolist(),
            trained=found[f"trained, {label}"].sum(axis=1).tolist(),
            by_size=[percent(each) for each in less.mean(axis=1)],
            mean=percent(by_workload.mean()),
            interval=(percent(low), percent(high)),
            better_on=int((by_workload < -1e-12).sum()),
            worse_on=int((by_workload > 1e-12).sum()),
            by_workload=by_workload.tolist(),
        )
    return rows


def percent(logs: float | np.floating) -> float:
    """A difference of logarithms as a change in per cent."""
    return 100 * math.expm1(float(logs))


def overall(told: Sequence[Problem]) -> dict[str, dict[str, tuple[float, float, float]]]:
    """Construction -> source -> mean over its problems and interval; "all": each source with the same weight.

    Workloads are resampled within their source. "all" are the sources with targets; a construction that one of them
    has not is not in it.
    """
    answer: dict[str, dict[str, tuple[float, float, float]]] = {}
    sources = list(dict.fromkeys(problem.source for problem in told))
    for name in dict.fromkeys(name for problem in told for name in problem.rows):
        parts = {}
        for source in sources:
            rows = [
                problem.rows[name] for problem in told if problem.source == source and name in problem.rows
            ]
            if rows:
                parts[source] = np.mean([row.by_workload for row in rows], axis=0)
        generator = np.random.default_rng(0)
        draws = {
            source: np.array([generator.choice(part, part.size).mean() for _ in range(10_000)])
            for source, part in parts.items()
        }
        middles = {source: part.mean() for source, part in parts.items()}
        by_target = [source for source in sources if not source.endswith(LOSSES)]
        if set(by_target) <= parts.keys():
            draws["all"] = np.mean([draws[source] for source in by_target], axis=0)
            middles["all"] = np.mean([middles[source] for source in by_target])
        answer[name] = {}
        for source, drawn in draws.items():
            low, high = np.quantile(drawn, [0.025, 0.975])
            answer[name][source] = (percent(middles[source]), percent(low), percent(high))
    return answer


def libraries(sources: Sequence[pathlib.Path], everything: bool = False) -> Iterator[Library]:
    """What the sources hold, studies together, and with `everything` with the variants they hold."""
    studies = [path for path in sources if (path / "study.json").is_file() or results.is_packed(path)]
    if studies:
        yield from of_studies(studies, everything)
    for path in sources:
        if path not in studies:
            yield from of_curves(path) if path.is_file() else of_logs(path)


def main() -> None:
    """Prints a table in Markdown per problem, and the mean over all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sources", nargs="+", type=pathlib.Path)
    parser.add_argument("--resamplings", type=int, default=50, help="random halves of the points")
    parser.add_argument("--only", default="", help="problems whose name holds this text")
    parser.add_argument("--json", type=pathlib.Path, help="also write everything there")
    given = parser.parse_args()
    told: list[Problem] = []
    for library in libraries(given.sources):
        for way, splits in splits_of(library, given.resamplings):
            title = f"{library.source}: {library.name}; {way}"
            if given.only not in title:
                continue
            start = time.perf_counter()
            found = compare(judge(library, splits))
            told.append(Problem(library.source, title, len(splits), found, library.workloads))
            print(f"\n{title} ({len(splits)} splits, {time.perf_counter() - start:.0f} s)\n")
            sizes = ", ".join(map(str, SIZES))
            print(
                f"| construction | cost of {sizes} points | trained | beside greedy, % | mean | better, worse |"
            )
            print("| --- | --- | --- | --- | --- | --- |")
            for name, row in told[-1].rows.items():
                each = joined(row.by_size, "+.1f")
                print(
                    f"| {name} | {joined(row.cost, '.3f')} | {joined(row.trained, '.1f')} | {each} | {ending(row)}"
                )
    columns = [*dict.fromkeys(problem.source for problem in told), "all"]
    print("\nBeside greedy, %, mean over problems; all: sources with targets, each with the same weight\n")
    print(f"| construction | {' | '.join(columns)} |\n|{' --- |' * (len(columns) + 1)}")
    for name, by_source in overall(told).items():
        cells = ["" if one not in by_source else spread(*by_source[one]) for one in columns]
        print(f"| {name} | {' | '.join(cells)} |")
    if given.json:
        given.json.write_text(json.dumps([dataclasses.asdict(problem) for problem in told], indent=1))


def joined(values: Sequence[float], how: str) -> str:
    """Numbers in one cell."""
    return " ".join(format(value, how) for value in values)


def spread(middle: float, low: float, high: float) -> str:
    """A mean with its interval."""
    return f"{middle:+.1f} ({low:+.1f} to {high:+.1f})"


def ending(row: Beside) -> str:
    """The last two cells of a row: mean with its interval, and on how many workloads better and worse."""
    return f"{spread(row.mean, *row.interval)} | {row.better_on}, {row.worse_on} |"


if __name__ == "__main__":
    main()
