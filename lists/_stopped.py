"""Trials that a strategy stopped: what they would have reached is unseen, so a list built from them is another."""

from __future__ import annotations

import polars as pl

from results import Results, hits

FLAG = "--allow-stopped"


def check_stopped(results: Results, submission: str, allowed: bool) -> tuple[str, ...]:
    """Accepts trials none of which was stopped before it reached its target, or as many as there are where allowed.

    Args:
      results: trials of one benchmark and ruleset.
      submission: whose points a list is built from, or "all".
      allowed: count those that were stopped as missed.

    Returns:
      What is to be said of them, at most a sentence.

    Raises:
      ValueError: some were stopped, and it is not allowed; says how many, and by whom.
    """
    # A submission of `shortlist run`, or in AlgoPerf's logs, ends trials itself: that is its own result.
    by = {
        name: str(about.get("strategy") or "their strategy")
        for name, about in results.about.get("studies", {}).items()
        if about.get("loop") == "population" and submission in ("all", name)
    }
    theirs = results.trials.filter(pl.col("submission").is_in(list(by)))
    stopped = theirs.filter(status="stopped")
    if stopped.is_empty():
        return ()
    missed = hits(results).filter(pl.col("step_fraction") == float("inf"))["trial_id"]
    unseen = stopped.filter(pl.col("trial_id").is_in(missed.implode()))
    if unseen.is_empty():
        return ()
    names = ", ".join(sorted({by[name] for name in unseen["submission"].unique()}))
    said = (
        f"{len(unseen)} of {len(theirs)} trials were stopped by {names} before they reached the target, and what they "
        "would have reached is unseen"
    )
    if not allowed:
        raise ValueError(
            f"{results.source}: {said}; build lists from trials that were trained in full, or count these as missed "
            f"with {FLAG}"
        )
    return (f"{said}: counted as missed ({FLAG})",)
