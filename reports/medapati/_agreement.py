"""What the paper says that can be asked of our trials too, and whether they say the same: worked out, never assumed."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import polars as pl

from reports._contenders import Contender
from reports._words import capital, count
from reports.bands import EqualBudget
from reports.medapati._measured import (
    BASELINES,
    LEFT_OUT,
    LEFT_OUT_EXACT,
    METHODS,
    RANDOM,
    VARIANTS,
    Measured,
)
from reports.medapati._published import PublishedNumbers
from reports.medapati._sureness import Sureness, interval_words
from reports.study._facts import rank
from results import reached

LONGEST = 10  # points of lists; how far the paper's axis reaches is not known

Verdict = Literal["yes", "in part", "no"]


@dataclasses.dataclass(frozen=True)
class Statement:
    """One thing that the paper's numbers say, and what ours say of it.

    Attributes:
      where: in the paper.
      published: what its numbers say.
      ours: what ours say; empty where they say nothing.
      agrees: None where it cannot be told yet.
    """

    where: str
    published: str
    ours: str
    agrees: Verdict | None


def statements(
    found: Measured, numbers: PublishedNumbers, budgets: Mapping[str, EqualBudget], sure: Sureness
) -> tuple[Statement, ...]:
    """All of them, in the order of the paper's tables.

    Args:
      found: our trials.
      numbers: the paper's.
      budgets: our workload -> the random search that the leave-one-out list equals by best metric.
      sure: how sure our costs are.
    """
    made = (
        _reach_is_rare(found, numbers),
        _same_are_hard(found, numbers),
        _points_carry(found, numbers),
        _lists_ahead(found, numbers, sure),
        _same_missed(found, numbers),
        _same_order(found, numbers),
        _better_than_random(found, numbers),
        _final_list(found, numbers, "final-list", "Table 9", "base workloads"),
        _final_list(found, numbers, VARIANTS, "Table 7", "variants"),
        _variants_cheaper(found, numbers, sure),
        _penalty_is_mild(found, numbers),
        _greedy_generalises(found, numbers),
        _long_enough(found, numbers),
        _equals_random(numbers, budgets),
    )
    return tuple(made)


def statement_table(made: Sequence[Statement]) -> pl.DataFrame:
    """Columns where, published, ours, agrees (null where it cannot be told)."""
    columns = [field.name for field in dataclasses.fields(Statement)]
    return pl.DataFrame(
        {name: pl.Series([getattr(one, name) for one in made], dtype=pl.String) for name in columns}
    )


def in_words(made: Sequence[Statement]) -> tuple[str, ...]:
    """What agrees and what does not, a paragraph for each verdict."""
    told = [one for one in made if one.agrees is not None]
    if not told:
        return ("Nothing can be compared yet: what the statements need is not trained.",)
    said = [f"Of {len(made)} statements that the paper's numbers make, {len(told)} can be held against ours."]
    if open_ := [one.where for one in made if one.agrees is None]:
        said[0] += f" {len(open_)} cannot yet ({', '.join(dict.fromkeys(open_))})."
    for verdict, one_does, all_do in _HOLD:
        of_it = [one for one in told if one.agrees == verdict]
        if of_it:
            parts = [
                f"{one.published} ({one.where})" + ("" if verdict == "yes" else f", here: {one.ours}")
                for one in of_it
            ]
            does = one_does if len(of_it) == 1 else all_do
            said.append(f"{capital(_number(len(of_it)))} {does} here: {'; '.join(parts)}.")
    return tuple(said)


_HOLD = (
    ("yes", "holds", "hold"), ("in part", "holds in part", "hold in part"), ("no", "does not hold", "do not hold"),
)  # fmt: skip


def _number(n: int) -> str:
    words = (
        "none",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
    )
    return words[n] if n < len(words) else str(n)


# What single points reach


def _reach_is_rare(found: Measured, numbers: PublishedNumbers) -> Statement:
    printed = list(numbers.reach.rows[0].values.values())
    most = max(printed) / numbers.reach.points
    said = f"every target is reached by some candidates, none by more than {_percent(most)}"
    if found.candidates is None:
        return Statement("Table 4", said, "", None)
    counts = np.isfinite(found.candidates.values).sum(axis=0)
    n = len(found.candidates.points)
    unreached = int((counts == 0).sum())
    ours = f"by {_percent(counts.min() / n)} to {_percent(counts.max() / n)} of {count(n, 'candidate')}"
    ours = (
        f"{count(unreached, 'target')} reached by none" if unreached else f"every target is reached, {ours}"
    )
    agrees: Verdict = "no" if unreached else "yes" if counts.max() / n <= most else "in part"
    return Statement("Table 4", said, ours, agrees)


def _same_are_hard(found: Measured, numbers: PublishedNumbers) -> Statement:
    printed = numbers.reach.rows[0].values
    hard, easy = min(printed, key=printed.__getitem__), max(printed, key=printed.__getitem__)
    said = f"fewest points reach {numbers.short(hard)}, most {numbers.short(easy)}"
    if found.candidates is None or len(found.candidates.workloads) < 3:
        return Statement("Table 4", said, "", None)
    counts = dict(zip(_plain(found), np.isfinite(found.candidates.values).sum(axis=0).tolist(), strict=True))
    both = pl.DataFrame({"printed": [printed[w] for w in counts], "ours": list(counts.values())})
    alike = both.select(pl.corr("printed", "ours", method="spearman")).item()
    fewest, most = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
    if alike is None or math.isnan(alike):
        return Statement("Table 4", said, "as many points reach every target", "no")
    agrees: Verdict = "yes" if alike >= 0.5 else "in part" if alike > 0 else "no"
    ours = (
        f"fewest points reach {numbers.short(fewest)}, most {numbers.short(most)}; rank correlation of the counts "
        f"{alike:.2f}".replace("-", "−")
    )
    return Statement("Table 4", said, ours, agrees)


def _points_carry(found: Measured, numbers: PublishedNumbers) -> Statement:
    alone, another = (sum(row.values.values()) for row in numbers.reach.rows[:2])
    said = f"of the points that reach a target, {_percent(another / alone)} reach another too"
    if found.candidates is None or len(found.candidates.workloads) < 2:
        return Statement("Table 4", said, "", None)
    reaches = np.isfinite(found.candidates.values)
    hits = int(reaches.sum())
    if not hits:
        return Statement("Table 4", said, "no point reaches a target", "no")
    also = int((reaches & (reaches.sum(axis=1, keepdims=True) > 1)).sum())
    same = (also / hits > 0.5) == (another / alone > 0.5)
    ours = f"of the points that reach a target, {_percent(also / hits)} reach another too"
    return Statement("Table 4", said, ours, "yes" if same else "no")


# Lists on workloads that they have not seen


def _lists_ahead(found: Measured, numbers: PublishedNumbers, sure: Sureness) -> Statement:
    theirs = {name: numbers.printed(name).trained(numbers.names) for name in (LEFT_OUT, *BASELINES)}
    best = max(theirs[name] for name in BASELINES)
    said = (
        f"leave-one-out lists train {theirs[LEFT_OUT]} of {len(numbers.names)} workloads, the best of "
        f"{count(len(BASELINES), 'baseline')} {best}"
    )
    hero, there = _hero(found), list(found.complete(BASELINES).values())
    if hero is None or not there:
        return Statement("Table 5", said, "", None)
    names = found.judged
    mine = hero.trained(names)
    rival = min(there, key=lambda row: rank(row, names, found.penalty))
    behind = mine - rival.trained(names)
    ours = (
        f"{hero.label} train {mine} of {len(names)}, the best of {count(len(there), 'baseline')}, {rival.label}, "
        f"{rival.trained(names)}"
    )
    (key,) = (name for name, row in found.rows.items() if row is rival)
    ratio, p, corrected = sure.against(key)
    if ratio is not None and p is not None and corrected is not None:
        ours += (
            f"; ratio of costs {ratio.value:.2f} ({interval_words(ratio)} over workloads, p = {p:.2g}, by Holm "
            f"{corrected:.2g})"
        )
    if len(there) < len(BASELINES) and behind > 0:
        return Statement("Table 5", said, f"{ours}, so far", None)
    return Statement("Table 5", said, ours, "yes" if behind > 0 else "in part" if behind == 0 else "no")


def _same_missed(found: Measured, numbers: PublishedNumbers) -> Statement:
    row = numbers.printed(LEFT_OUT)
    missed = [name for name in numbers.names if math.isinf(row.fractions[name])]
    said = f"the left-out workload missed is {_names(missed, numbers)}"
    hero = _hero(found)
    if hero is None:
        return Statement("Table 5", said, "", None)
    names = [name for name in found.judged if name in hero.fractions]
    ours = [name for name in names if math.isinf(hero.fractions[name])]
    same = sum((name in missed) == (name in ours) for name in names)
    agrees: Verdict = "yes" if same == len(names) else "in part" if 2 * same > len(names) else "no"
    said_of_ours = f"missed: {_names(ours, numbers)}; the same outcome on {same} of {len(names)}"
    return Statement("Table 5", said, said_of_ours, agrees)


def _same_order(found: Measured, numbers: PublishedNumbers) -> Statement:
    everyone = (LEFT_OUT, "vizier-10", *BASELINES)
    theirs = {name: rank(numbers.printed(name), numbers.names, found.penalty) for name in everyone}
    order = sorted(everyone, key=theirs.__getitem__)
    said = f"in order of workloads trained, then cost: {', '.join(METHODS[name].label for name in order)}"
    hero = _hero(found)
    rows = found.complete(everyone)
    if hero is not None:
        rows[LEFT_OUT] = hero
    if len(rows) < 3:
        return Statement("Table 5", said, "", None)
    ours = {name: rank(row, found.judged, found.penalty) for name, row in rows.items()}
    pairs = [(a, b) for a, b in itertools.combinations(rows, 2) if theirs[a] != theirs[b]]
    same = sum((theirs[a] < theirs[b]) == (ours[a] < ours[b]) and ours[a] != ours[b] for a, b in pairs)
    agrees: Verdict = "yes" if same == len(pairs) else "in part" if 2 * same > len(pairs) else "no"
    told = ", ".join(METHODS[name].label for name in sorted(rows, key=ours.__getitem__))
    return Statement(
        "Table 5", said, f"{told}; {same} of {len(pairs)} pairs stand in the paper's order", agrees
    )


def _better_than_random(found: Measured, numbers: PublishedNumbers) -> Statement:
    minimize = {w.name: w.minimize for w in numbers.workloads}
    mine, its = numbers.printed(LEFT_OUT), numbers.printed(RANDOM)
    best = [name for name in numbers.names if _better(mine.best[name], its.best[name], minimize[name])]
    share = f"{len(best)} of {len(numbers.names)} workloads"
    said = f"by best metric the lists are ahead of random search of five on {share}"
    hero, random = _hero(found), found.rows.get(RANDOM)
    if hero is None or random is None:
        return Statement("Table 6", said, "", None)
    names = [name for name in found.names if name in hero.best and name in random.best]
    won = sum(_better(hero.best[name], random.best[name], minimize[name]) for name in names)
    agrees: Verdict = (
        "yes" if won >= len(best) or won == len(names) else "in part" if 2 * won > len(names) else "no"
    )
    return Statement("Table 6", said, f"ahead of its median on {won} of {len(names)}", agrees)


# The list of all eight


def _final_list(found: Measured, numbers: PublishedNumbers, row: str, where: str, what: str) -> Statement:
    theirs = numbers.printed(row).trained(numbers.names)
    said = f"the list of all eight trains {theirs} of {len(numbers.names)} {what}"
    ours = found.rows.get(row)
    names = found.judged_variants if row == VARIANTS else found.judged
    if ours is None or not names or not set(names) <= set(ours.fractions):
        return Statement(where, said, "", None)
    trained = ours.trained(names)
    share, its = trained / len(names), theirs / len(numbers.names)
    agrees: Verdict = "yes" if share >= its else "in part" if share >= 0.5 else "no"
    return Statement(where, said, f"it trains {trained} of {len(names)} {what}", agrees)


def _variants_cheaper(found: Measured, numbers: PublishedNumbers, sure: Sureness) -> Statement:
    base, changed = (numbers.printed(row).cost(numbers.names, 2.0) for row in ("final-list", VARIANTS))
    assert base is not None
    assert changed is not None
    said = f"the list costs less on variants ({changed:.3f}) than on the workloads that built it ({base:.3f})"
    rows = found.rows.get("final-list"), found.rows.get(VARIANTS)
    costs = [
        None if row is None else row.cost(names, found.penalty)
        for row, names in zip(rows, (found.judged, found.judged_variants), strict=True)
    ]
    if costs[0] is None or costs[1] is None or set(found.judged) != set(found.judged_variants):
        return Statement("Tables 7, 9", said, "", None)
    told = [
        f"{cost:.3f}{'' if (over := sure.costs[name].over['repeats']) is None else f' ({interval_words(over)})'}"
        for cost, name in zip(costs, ("final-list", VARIANTS), strict=True)
    ]
    ours = f"on variants {told[1]}, on the workloads that built it {told[0]}, intervals over repeats"
    return Statement("Tables 7, 9", said, ours, _sign(base - changed, costs[0] - costs[1]))


# How lists are built


def _penalty_is_mild(found: Measured, numbers: PublishedNumbers) -> Statement:
    printed = [one.trained for one in numbers.penalties.trained]
    said = f"whatever the penalty, lists train {min(printed)} or {max(printed)}: {printed[0]} at 1, {printed[-1]} at 2"
    ours = penalties(found, numbers)
    if not ours:
        return Statement("Table 12", said, "", None)
    trained = list(ours.values())
    spread = max(trained) - min(trained)
    mild = spread <= max(printed) - min(printed)
    agrees: Verdict = "yes" if mild and trained[-1] >= trained[0] else "in part" if mild else "no"
    told = f"{min(trained)} to {max(trained)}" if spread else f"{trained[0]} throughout"
    return Statement("Table 12", said, f"{told}: {trained[0]} at 1, {trained[-1]} at 2", agrees)


def penalties(found: Measured, numbers: PublishedNumbers) -> dict[float, int]:
    """Penalty -> left-out workloads trained, by the search's own trainings; empty without a search."""
    taus = [one.penalty for one in numbers.penalties.trained]
    made = {}
    for tau in taus:
        left = dataclasses.replace(found, penalty=tau).lists_of("greedy", numbers.penalties.size)
        if left is None:
            return {}
        made[tau] = left.trained[-1]
    return made


def constructions(found: Measured, numbers: PublishedNumbers) -> tuple[dict[str, int], dict[str, int]]:
    """Method -> left-out workloads trained by lists of the size of Table 13: by the search's trainings, and anew."""
    size, names = numbers.constructions.size, found.judged
    search = {
        method: left.trained[-1]
        for method in numbers.constructions.trained
        if (left := found.lists_of(method, size)) is not None
    }
    again = {"greedy": found.anew(LEFT_OUT, size), "exact": found.anew(LEFT_OUT_EXACT, size)}
    anew = {
        method: row.trained(names)
        for method, row in again.items()
        if row is not None and set(names) <= set(row.fractions)
    }
    return search, anew


def _greedy_generalises(found: Measured, numbers: PublishedNumbers) -> Statement:
    theirs = numbers.constructions.trained
    said = (
        f"on workloads not seen, greedy lists of {numbers.constructions.size} train {theirs['greedy']}, exact ones "
        f"{theirs['exact']}"
    )
    search, anew = constructions(found, numbers)
    ours = anew if len(anew) == 2 else search
    if len(ours) < 2:
        return Statement("Table 13", said, "", None)
    how = "trained anew" if ours is anew else "by the search's trainings"
    agrees = _sign(theirs["greedy"] - theirs["exact"], ours["greedy"] - ours["exact"])
    return Statement("Table 13", said, f"greedy {ours['greedy']}, exact {ours['exact']}, {how}", agrees)


def _long_enough(found: Measured, numbers: PublishedNumbers) -> Statement:
    enough = numbers.list_sizes.all_trained_from
    said = f"with {enough} points every left-out workload is trained"
    left = found.lists_of("greedy", LONGEST)
    if left is None:
        return Statement("Figure 2", said, "", None)
    n = len(left.lists)
    first = next((k for k, trained in enumerate(left.trained, 1) if trained == n), None)
    if first is None:
        ours = f"with {len(left.trained)} points {left.trained[-1]} of {n}, by the search's trainings"
        return Statement("Figure 2", said, ours, "no")
    agrees: Verdict = "yes" if first <= enough else "in part"
    return Statement(
        "Figure 2", said, f"all {n} from {count(first, 'point')} on, by the search's trainings", agrees
    )


def _equals_random(numbers: PublishedNumbers, budgets: Mapping[str, EqualBudget]) -> Statement:
    claim = numbers.equal_budget
    said = (
        f"lists of {claim.size} equal random search of at least {claim.least_trials} trials on most workloads"
    )
    if not budgets:
        return Statement("Figure 1", said, "", None)
    enough = sum(b.trials is None or b.trials >= claim.least_trials for b in budgets.values())
    agrees: Verdict = "yes" if 2 * enough > len(budgets) else "no"
    return Statement("Figure 1", said, f"on {enough} of {len(budgets)} workloads", agrees)


# Words


def _hero(found: Measured) -> Contender | None:
    """The leave-one-out lists, if they were run on all workloads."""
    return None if found.hero is None else found.complete([found.hero]).get(found.hero)


def _plain(found: Measured) -> list[str]:
    assert found.candidates is not None
    names = {workload: name for name, workload in found.names.items()}
    return [names[workload] for workload in found.candidates.workloads]


def _better(value: float, than: float, minimize: bool) -> bool:
    return value != than and bool(pl.select(reached(pl.lit(value), than, minimize)).item())


def _sign(theirs: float, ours: float) -> Verdict:
    if ours == 0:
        return "in part"
    return "yes" if (theirs > 0) == (ours > 0) else "no"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 or share == 0 else f"{100 * share:.1f} %"


def _names(names: Sequence[str], numbers: PublishedNumbers) -> str:
    return ", ".join(map(numbers.short, names)) or "none"
