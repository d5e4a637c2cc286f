"""Which construction of lists holds best on workloads that it never saw.

    python -m benchmarks.constructions SOURCE... [--resamplings 10] [--only TEXT] [--json FILE]

Sources: studies of one set of candidates (joined, one column per workload), a folder of AlgoPerf's logs (submissions
as points, by time), curve files of TaskSet's form. From each come problems, some easy and some hard:

* studies: today's targets, and harder ones that 3 % and 1.5 % of the candidates reach; from all candidates and from
  random halves; lists learnt on all workloads but one, and on three of them.
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
LEAVES = 16  # so many columns at most for what searches all sets, or leaves each out once more


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
    train: list[int]
    test: list[int]


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
        if (found := fractions_of(path)) is not None:
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
        path.stem,
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
        return [Split(rows, [v for v in range(workloads) if v != w], [w]) for w in range(workloads)]

    def some(count: int, times: int, halve: bool) -> list[Split]:
        found = []
        for _ in range(times):
            order = generator.permutation(workloads).tolist()
            rows = half() if halve else everything
            found.append(Split(rows, sorted(order[:count]), sorted(order[count:])))
        return found

    if workloads > LEAVES:
        yield "learnt on 8", some(8, 50, halve=False)
        yield "learnt on half", some(workloads // 2, 50, halve=False)
        return
    yield "all but one, all points", left_out(everything)
    yield "all but one, half of the points", [s for _ in range(resamplings) for s in left_out(half())]
    yield f"learnt on {FEW}, half of the points", some(FEW, 2 * resamplings, halve=True)


def contenders(library: Library, train: int) -> dict[str, str]:
    """Label -> construction, of those that this can be done for."""
    found = {name: name for name in lists.CONSTRUCTIONS}
    if library.by_repeat is None:
        found.pop("cautious")
    if train > LEAVES:
        for name in ("exact", "shrunk-exact", "nested", "best-penalty", "bagged"):
            found.pop(name)
    return found


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
        for label, name in contenders(library, len(split.train)).items():
            by_repeat = None if library.by_repeat is None else library.by_repeat[part]
            how = {"places": places, "by_repeat": by_repeat}
            grows = lists.CONSTRUCTIONS[name].grows
            whole = (
                lists.construct(library.values[part], SIZES[-1], library.penalty, name, **how)
                if grows
                else None
            )
            for k, size in enumerate(SIZES):
                chosen = (
                    whole.first(size)
                    if whole is not None
                    else lists.construct(library.values[part], size, library.penalty, name, **how)
                )
                reached = logs[np.ix_(split.rows[list(chosen.points)], split.test)].min(axis=0)
                for key, value in ((label, reached), (f"trained, {label}", reached < worst)):
                    sums.setdefault(key, np.zeros((len(SIZES), workloads)))[k, split.test] += value
    return {key: value / np.maximum(times, 1) for key, value in sums.items()}


def compare(found: dict[str, np.ndarray]) -> dict[str, dict[str, object]]:
    """Construction -> what it costs beside greedy, in per cent, by size, and over sizes with an interval."""
    base = found["greedy"]
    rows = {}
    for label, costs in found.items():
        if label.startswith("trained, "):
            continue
        less = costs - base
        by_workload = less.mean(axis=0)
        rows[label] = {
            "cost": np.exp(costs.mean(axis=1)).tolist(),
            "trained": found[f"trained, {label}"].sum(axis=1).tolist(),
            "beside_greedy": _percent(less.mean(axis=1)).tolist(),
            "mean": float(_percent(by_workload.mean())),
            "interval": _percent(np.array(lists.bootstrap_interval(by_workload))).tolist(),
            "better_on": int((by_workload < -1e-12).sum()),
            "worse_on": int((by_workload > 1e-12).sum()),
            "by_workload": by_workload.tolist(),
        }
    return rows


def _percent(logs: np.ndarray | float) -> np.ndarray:
    return 100 * np.expm1(np.asarray(logs))


def overall(found: Sequence[dict[str, object]]) -> dict[str, tuple[float, float, float]]:
    """Construction -> mean over problems and interval; workloads of a source are resampled together."""
    names = {name for one in found for name in one["rows"]}  # type: ignore[union-attr, attr-defined]
    answer = {}
    for name in sorted(names):
        by_source: dict[str, list[np.ndarray]] = {}
        for one in found:
            if name in one["rows"]:  # type: ignore[operator]
                by_source.setdefault(str(one["source"]), []).append(
                    np.array(one["rows"][name]["by_workload"])
                )  # type: ignore[index]
        if len(by_source) < len({one["source"] for one in found}):
            continue
        generator = np.random.default_rng(0)
        parts = [np.mean(each, axis=0) for each in by_source.values()]
        draws = [np.mean([generator.choice(part, part.size).mean() for part in parts]) for _ in range(10_000)]
        middle = np.mean([part.mean() for part in parts])
        answer[name] = tuple(float(_percent(x)) for x in (middle, *np.quantile(draws, [0.025, 0.975])))
    return answer  # type: ignore[return-value]


def libraries(sources: Sequence[pathlib.Path], everything: bool = False) -> Iterator[Library]:
    """What the sources hold, studies together, and with `everything` with the variants they hold."""
    studies = [path for path in sources if (path / "study.json").is_file()]
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
    parser.add_argument("--resamplings", type=int, default=10, help="random halves of the points")
    parser.add_argument("--only", default="", help="problems whose name holds this text")
    parser.add_argument("--json", type=pathlib.Path, help="also write everything there")
    given = parser.parse_args()
    told = []
    for library in libraries(given.sources):
        for way, splits in splits_of(library, given.resamplings):
            title = f"{library.source}: {library.name}; {way}"
            if given.only not in title:
                continue
            start = time.perf_counter()
            rows = compare(judge(library, splits))
            told.append({"source": library.source, "problem": title, "splits": len(splits), "rows": rows})
            print(f"\n{title} ({len(splits)} splits, {time.perf_counter() - start:.0f} s)\n")
            print(f"| construction | cost of {', '.join(map(str, SIZES))} points | trained | beside greedy, % "
                  "| mean, 95 % interval | better, worse |\n| --- | --- | --- | --- | --- | --- |")  # fmt: skip
            for name, row in rows.items():
                low, high = row["interval"]  # type: ignore[misc]
                print(
                    f"| {name} | {_joined(row['cost'], '.3f')} | {_joined(row['trained'], '.1f')} "
                    f"| {_joined(row['beside_greedy'], '+.1f')} | {row['mean']:+.1f} ({low:+.1f} to {high:+.1f}) "
                    f"| {row['better_on']}, {row['worse_on']} |",
                    flush=True,
                )
    print(
        "\nMean over problems, each source with the same weight\n\n| construction | beside greedy, % |\n| --- | --- |"
    )
    for name, (middle, low, high) in overall(told).items():
        print(f"| {name} | {middle:+.1f} ({low:+.1f} to {high:+.1f}) |")
    if given.json:
        given.json.write_text(json.dumps(told, indent=1))


def _joined(values: object, how: str) -> str:
    return " ".join(format(value, how) for value in values)  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
