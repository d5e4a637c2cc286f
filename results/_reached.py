"""The two questions that every record is asked: has this value reached the target, and what was the best value?"""

from __future__ import annotations

import polars as pl


def reached(value: str | pl.Expr, target: str | float | pl.Expr, minimize: str | bool | pl.Expr) -> pl.Expr:
    """Whether a value is at or past its target: value <= target where smaller is better, value >= target elsewhere.

    This is the rule of AlgoPerf's scoring, and ours for all records. While a trial runs, AlgoPerf's workloads ask
    for more: their `has_reached_validation_target` is strict (< or >) and decides when a trial may stop, in AlgoPerf
    and in our submission loop alike. A value equal to its target is a hit that does not stop its trial.

    Args:
      value: a column, or an expression.
      target: a column, a number, or an expression; null where there is none.
      minimize: whether smaller is better.

    Returns:
      A Boolean expression; null where the value or the target is null, which no filter lets pass.

    Example:
      >>> pl.select(reached(pl.lit(0.5), 0.5, True), exactly=reached(pl.lit(0.5), 0.5, False)).row(0)
      (True, True)
    """
    value, target = _column(value), _column(target)
    return pl.when(_column(minimize)).then(value <= target).otherwise(value >= target)


def best_value(curve: str | pl.Expr, minimize: str | bool | pl.Expr) -> pl.Expr:
    """The best value of each curve; null where no evaluation has one.

    Args:
      curve: a column, or an expression, of lists over evaluations; null where a value was not finite.
      minimize: whether smaller is better.

    Example:
      >>> pl.DataFrame({"curve": [[0.9, None, 0.7], [None]]}).select(best_value("curve", True))["curve"].to_list()
      [0.7, None]
    """
    curves = _column(curve).list
    return pl.when(_column(minimize)).then(curves.min()).otherwise(curves.max())


def _column(given: str | float | pl.Expr) -> pl.Expr:
    if isinstance(given, pl.Expr):
        return given
    return pl.col(given) if isinstance(given, str) else pl.lit(given)
