"""Published scores of AlgoPerf's leaderboards, beside what our scoring makes of the same logs."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib import resources

import msgspec
import polars as pl

from reports.logs._scoring import Score


class PublishedScores(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was published of one benchmark version and ruleset.

    Attributes:
      source: of the scores, in words.
      scores: submission -> score.
      decimals: to how many they were printed.
      speedups: submission -> geometric mean of its times over the baseline's, to 4 decimals.
      speedups_source: of these.
    """

    source: str
    scores: dict[str, float]
    decimals: int
    speedups: dict[str, float]
    speedups_source: str


@functools.cache
def published_scores() -> Mapping[str, PublishedScores]:
    """Version and ruleset, such as "v0.5 external" -> what was published of it."""
    content = resources.files("reports.logs").joinpath("published.json").read_bytes()
    return msgspec.json.decode(content, type=dict[str, PublishedScores])


def scores_beside(result: Score, published: PublishedScores) -> pl.DataFrame:
    """Scores and speedups, published and ours.

    Args:
      result: of all submissions that were scored together when the scores were published.
      published: of the same version and ruleset.

    Returns:
      Columns submission, published, ours, agrees (to the decimals that were published), published_speedup,
      our_speedup, speedup_agrees; by our score, submissions without trials last. What is not known is null.
    """
    ours = dict(result.scores.select("submission", "score").iter_rows())
    speedups = dict(result.speedups.iter_rows())
    rows = []
    for name in (*result.ranked, *(name for name in published.scores if name not in ours)):
        theirs, speedup = published.scores.get(name), published.speedups.get(name)
        rows.append(
            (
                *(name, theirs, ours.get(name), _agree(theirs, ours.get(name), published.decimals)),
                *(speedup, speedups.get(name), _agree(speedup, speedups.get(name), 4)),
            )
        )
    schema = {
        "submission": pl.String, "published": pl.Float64, "ours": pl.Float64, "agrees": pl.Boolean,
        "published_speedup": pl.Float64, "our_speedup": pl.Float64, "speedup_agrees": pl.Boolean,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row")


def _agree(theirs: float | None, ours: float | None, decimals: int) -> bool | None:
    if theirs is None:
        return None
    # Half a digit of what was printed, and rounding of the sum.
    return ours is not None and abs(theirs - ours) <= 0.5 * 10**-decimals + 1e-9
