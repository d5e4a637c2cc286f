"""From any source to the fractions that a list is built from."""

from __future__ import annotations

from results._fractions import Fractions
from results._hits import By, fractions, hits
from results._results import Results

EVERY = "all"


def pool(
    source: Results | Fractions,
    *,
    by: By = "steps",
    benchmark: str | None = None,
    submission: str | None = None,
    ruleset: str | None = None,
) -> Fractions:
    """The points to choose from, and the fraction of the budget at which each trains each workload.

    Args:
      source: what `read_source` returned; a table of fractions is passed through.
      by: "steps" or "time".
      benchmark: which leaderboard's trials, where a source holds several.
      submission: whose points; "all" pools them. Where only one has candidates, that one is meant.
      ruleset: "external" or "self-tuning", where a source holds both.

    Raises:
      ValueError: no such benchmark, ruleset or submission, or several to choose from and none chosen.
    """
    if isinstance(source, Fractions):
        for option, value in (
            ("--benchmark", benchmark),
            ("--ruleset", ruleset),
            ("--submission", submission),
        ):
            if value is not None:
                raise ValueError(f"{option} {value}: a table of fractions has none; leave it out")
        return source
    chosen = choose_ruleset(choose_benchmark(source, benchmark), ruleset)
    submission = choose_submission(chosen, submission)
    scored = hits(chosen)
    return fractions(scored, by=by, submission=None if submission == EVERY else submission)


def choose_benchmark(results: Results, benchmark: str | None) -> Results:
    """The trials of one benchmark version; all of them where there is only one.

    Raises:
      ValueError: no such version, or several and none chosen.
    """
    if benchmark is not None:
        return results.of_benchmark(benchmark)
    if len(results.benchmarks) > 1:
        present = ", ".join(map(str, results.benchmarks))
        raise ValueError(f"{results.source}: holds trials of {present}; choose one with --benchmark")
    return results


def choose_ruleset(results: Results, ruleset: str | None) -> Results:
    """The trials of one ruleset; all of them where there is only one.

    Raises:
      ValueError: no such ruleset, or several and none chosen.
    """
    if ruleset is not None:
        return results.of_ruleset(ruleset)
    if len(results.rulesets) > 1:
        present = " and ".join(map(str, results.rulesets))
        raise ValueError(
            f"{results.source}: holds trials of the rulesets {present}, whose budgets differ; choose one with --ruleset"
        )
    return results


def choose_submission(results: Results, submission: str | None) -> str:
    there = results.submissions
    if submission == EVERY or submission in there:
        return str(submission)
    if submission is not None:
        raise ValueError(
            f"{results.source}: no submission {submission!r}; it holds {', '.join(there)}, or 'all'"
        )
    roles = {name: study["role"] for name, study in results.about.get("studies", {}).items()}
    candidates = [name for name in there if roles.get(name) == "candidates"]
    if len(candidates) == 1:
        return candidates[0]
    if len(there) == 1:
        return there[0]
    raise ValueError(
        f"{results.source}: several submissions ({', '.join(there)}); choose one with --submission, or 'all'"
    )
