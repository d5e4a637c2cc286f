"""How far scores rest on their repeats: every repeat (AlgoPerf's study) scored by itself."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence

import polars as pl

from reports._tables import spread_columns
from reports.logs._scoring import Score, score
from results import Results


@dataclasses.dataclass(frozen=True, eq=False)
class RepeatScores:
    """Scores of each repeat alone.

    Attributes:
      whole: the score over all repeats.
      alone: the scores of single repeats, in order; one that no base workload was evaluated in is left out.
    """

    whole: Score
    alone: tuple[Score, ...]

    def with_scores(self, table: pl.DataFrame) -> pl.DataFrame:
        """The table of scores with least and greatest score over repeats; as it is where there is one repeat."""
        return self._with(table, [one.scores for one in self.alone], ("score", "exact_score"))

    def with_times(self, table: pl.DataFrame) -> pl.DataFrame:
        """A table of times to target with least and greatest over repeats."""
        return self._with(table, [one.time_to_target for one in self.alone], table.columns[1:])

    @property
    def note(self) -> str:
        """What the rank of the first rests on; empty for a lone submission."""
        if len(self.whole.submissions) < 2:
            return ""
        first = self.whole.ranked[0]
        if len(self.alone) < 2:
            return "Every submission was trained in one study: ranks rest on one run each."
        # A repeat that does not tell the best ones apart has no first.
        leaders = Counter(one.ranked[0] for one in self.alone if not _tied(one))
        others = [f"{name} in {n}" for name, n in leaders.most_common() if name != first]
        said = f"Of {len(self.alone)} studies, each scored alone"
        return f"{said}, {first} is first in {leaders[first]}{''.join(', ' + other for other in others)}."

    def _with(
        self, table: pl.DataFrame, single: Sequence[pl.DataFrame], columns: Sequence[str]
    ) -> pl.DataFrame:
        if len(single) < 2:
            return table
        columns = [c for c in columns if any(c in one.columns for one in single)]
        kinds = {c: pl.col(c).cast(pl.Float64) for c in columns}
        together = pl.concat(
            [one.select("submission", *(kinds[c] for c in columns if c in one.columns)) for one in single],
            how="diagonal",
        )
        ends = [
            end.alias(name)
            for c in columns
            for end, name in zip((pl.col(c).min(), pl.col(c).max()), spread_columns(c), strict=True)
        ]
        return table.join(
            together.group_by("submission").agg(*ends), on="submission", how="left", maintain_order="left"
        )


def by_repeat(results: Results, whole: Score) -> RepeatScores:
    """Scores every repeat of one benchmark's trials by itself, as the whole was scored."""
    evaluated = results.trials.join(results.evals, on="trial_id", how="semi")
    repeats = evaluated.filter(pl.col("workload").is_in(whole.workloads))["repeat"].unique().sort().to_list()
    alone = []
    for repeat in repeats if len(repeats) > 1 else ():
        trials = results.trials.filter(repeat=repeat)
        evals = results.evals.join(trials, on="trial_id", how="semi", maintain_order="left")
        part = dataclasses.replace(results, trials=trials, evals=evals)
        against = whole.against if whole.against in part.submissions else None
        alone.append(score(part, by=whole.by, trial_rule=whole.trial_rule, against=against))
    return RepeatScores(whole, tuple(alone) if alone else (whole,))


def _tied(one: Score) -> bool:
    best = one.scores["score"].head(2)
    return len(best) == 2 and best[0] == best[1]
