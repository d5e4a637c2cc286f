"""Figures: each is one function of a DataFrame, the same bytes every time, safe with any name."""

from __future__ import annotations

import itertools
import math
import xml.etree.ElementTree as ElementTree

import polars as pl
import pytest

from reports.bands import EqualBudget
from reports.figures import (
    figure_cost_by_length,
    figure_list_sizes,
    figure_performance_profile,
    figure_speedups,
    figure_step_fractions,
    figure_tuning_curve,
    figure_tuning_curves,
)
from reports.figures.drawing import NARROW, WIDE, as_png, as_svg, spread
from tests.reports.fake_study import HOSTILE

STEPS = pl.DataFrame(
    {
        "workload": ["a/mnist", "a/mnist", "a/wmt", "a/wmt"],
        "row": ["list", "sweep", "list", "sweep"],
        "fraction": [0.3, 0.3, math.inf, None],
    }
)
COSTS = pl.DataFrame(
    {
        "points": [1, 2, 1, 2, 2],
        "series": ["leave-one-out", "leave-one-out", "greedy", "greedy", "trained anew"],
        "cost": [1.2, 0.9, 0.8, 0.7, 0.95],
    }
)
CURVE = pl.DataFrame(
    {"trials": [1, 2, 3], "lower": [0.4, 0.2, 0.0], "median": [0.6, 0.4, 0.3], "upper": [math.inf, 0.8, 0.5]}
)
CURVES = pl.concat([CURVE.with_columns(series=pl.lit(name)) for name in ("muon", "nadamw")])
PROFILE = pl.DataFrame(
    {
        "submission": ["shampoo", "shampoo", "baseline", "baseline"],
        "tau": [1.0, 4.0] * 2,
        "rho": [0.5, 1.0, 0.2, 0.8],
    }
)
SIZES = pl.DataFrame(
    {
        "points": [1, 2, 7],
        "series": ["ours", "ours", "published"],
        "trained": [3, 5, 8],
        "cost": [1.5, 1.1, None],
    }
)
SPEEDUPS = pl.DataFrame(
    {
        "contender": ["velo", "velo", "adamw", "adamw"],
        "workload": ["a/mlp", "a/conv"] * 2,
        "score": [2.5, 10.0, 0.0, 0.9],
        "low": [2.0, 9.0, None, None],
        "high": [3.0, 10.0, None, None],
        "limit": [10.0] * 4,
    }
)
FIGURES = {
    #  function                     table   words that must be legible
    figure_step_fractions: (STEPS, ["mnist", "list", "missed", "0.30"]),
    figure_cost_by_length: (COSTS, ["leave-one-out", "greedy", "points in the list"]),
    figure_list_sizes: (SIZES, ["ours", "published", "points in the list", "workloads trained, of 8"]),
    figure_tuning_curve: (CURVE, ["trials of random search"]),
    figure_tuning_curves: (CURVES, ["trials of random search", "muon", "nadamw"]),
    figure_performance_profile: (PROFILE, ["shampoo", "baseline", "100 %"]),
    figure_speedups: (SPEEDUPS.select(sorted(SPEEDUPS.columns)), ["velo", "adamw", "2 workloads"]),
}


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("figure", FIGURES, ids=lambda f: f.__name__)
def test_every_figure_is_one_function_of_a_table(figure, width):
    table, words = FIGURES[figure]
    texts = "".join(ElementTree.fromstring(as_svg(figure(table, width=width))).itertext())
    for word in words:
        assert word in texts  # text stays text, so that pages can be searched
    assert as_png(figure(table, width=width)).startswith(b"\x89PNG")


@pytest.mark.parametrize("figure", FIGURES, ids=lambda f: f.__name__)
def test_the_same_table_gives_the_same_bytes(figure):
    table, _ = FIGURES[figure]
    assert as_svg(figure(table)) == as_svg(figure(table))
    assert as_png(figure(table)) == as_png(figure(table))


@pytest.mark.parametrize("figure", FIGURES, ids=lambda f: f.__name__)
def test_a_missing_column_or_an_empty_table_is_named(figure):
    table, _ = FIGURES[figure]
    gone = sorted(table.columns)[0]
    with pytest.raises(ValueError, match=f"{figure.__name__}: no column '{gone}'"):
        figure(table.drop(gone))
    with pytest.raises(ValueError, match="nothing to draw"):
        figure(table.clear())


@pytest.mark.parametrize("name", [HOSTILE, "$x^2$", "a$b", "\x00\x1b[31m", "x" * 500, "名前", "--><svg>"])
def test_any_name_is_drawn_as_plain_text(name):
    tables = {
        figure_step_fractions: STEPS.with_columns(row=pl.lit(name), workload=pl.lit(name)).head(1),
        figure_cost_by_length: COSTS.with_columns(series=pl.lit(name)).head(2),
        figure_performance_profile: PROFILE.with_columns(submission=pl.lit(name)).head(2),
    }
    figures = [draw(table) for draw, table in tables.items()]
    figures.append(figure_tuning_curve(CURVE, title=name, metric=name, result=0.4, result_label=name))
    for figure in figures:
        tags = {element.tag.rsplit("}", 1)[-1] for element in ElementTree.fromstring(as_svg(figure)).iter()}
        assert not tags & {"script", "foreignObject", "b", "image"}


def marks(figure) -> list[tuple[float, float]]:
    """Places of the marks in the first axes."""
    lines = [line for line in figure.axes[0].lines if line.get_marker() not in ("None", "")]
    return [(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in lines]


def test_a_miss_stands_beyond_the_budget_and_what_was_not_run_is_not_drawn():
    places = marks(figure_step_fractions(STEPS))
    assert len(places) == 3
    assert [x > 1.0 for x, _ in places] == [False, False, True]


def test_contenders_that_tie_are_drawn_beside_each_other():
    (x, y), (other_x, other_y) = marks(figure_step_fractions(STEPS))[:2]
    assert x == other_x == 0.3
    assert y != other_y


def test_a_spread_is_drawn_from_its_least_to_its_greatest_and_a_miss_within_it_reaches_the_edge():
    spread = STEPS.with_columns(
        low=pl.Series([0.2, 0.3, 0.5, None]), high=pl.Series([0.4, 0.3, math.inf, None])
    )
    lines = [line for line in figure_step_fractions(spread).axes[0].lines if line.get_marker() == "None"]
    ends = [tuple(map(float, line.get_xdata())) for line in lines]
    assert ends[0] == (0.2, 0.4)
    assert [low for low, _ in ends] == [0.2, 0.5]  # neither one without width nor one that was not run
    assert ends[1][1] > 1.0


def test_spreads_that_overlap_are_drawn_below_each_other_and_inside_the_axes():
    highs = [0.6] * 5 + [math.inf]
    table = pl.DataFrame({"row": [*"abcdef"], "high": highs}).with_columns(
        workload=pl.lit("a/mnist"), fraction=0.5, low=0.3
    )
    axes = figure_step_fractions(table).axes[0]
    heights = [line.get_ydata()[0] for line in axes.lines if line.get_marker() == "None"]
    assert heights == sorted(set(heights))
    assert len(heights) == 6
    assert max(heights) < axes.get_ylim()[0]


@pytest.mark.parametrize("figure", FIGURES, ids=lambda f: f.__name__)
def test_a_table_that_went_through_csv_draws_the_same_figure(figure):
    table, _ = FIGURES[figure]
    # Names that look like numbers, and a column of numbers without one value.
    names = [name for name, kind in table.schema.items() if kind == pl.String]
    table = table.with_columns(pl.col(name).rank("dense").cast(pl.String) for name in names)
    if figure is figure_step_fractions:
        table = table.with_columns(fraction=pl.lit(None, pl.Float64))
    assert as_svg(figure(pl.read_csv(table.write_csv().encode()))) == as_svg(figure(table))


def test_fractions_beyond_the_budget_stay_left_of_the_misses():
    # AlgoPerf's logs hold hits at up to 2.9 times the step hint.
    table = pl.DataFrame({"workload": ["a", "b"], "row": ["x", "x"], "fraction": [2.9, math.inf]})
    (hit, _), (miss, _) = marks(figure_step_fractions(table))
    assert hit == 2.9
    assert miss > 2.9


def test_a_band_that_runs_to_infinity_leaves_the_axes_finite():
    low, high = figure_tuning_curve(CURVE, result=0.35).axes[0].get_ylim()
    assert 0 <= low < 0.3
    assert 0.6 < high < 2


def test_a_curve_without_one_finite_value_is_drawn_empty():
    nothing = CURVE.with_columns(pl.lit(math.inf).alias(c) for c in ("lower", "median", "upper"))
    assert as_svg(figure_tuning_curve(nothing))


def test_the_equal_budget_is_written_and_drawn():
    figure = figure_tuning_curve(
        CURVE, result=0.35, result_label="list of 5", budget=EqualBudget(3, 2, None, 3)
    )
    assert "list of 5: 0.35 ≈ 3 trials (2 to more than 3)" in [text.get_text() for text in figure.texts]
    assert (3.0, 0.35) in marks(figure)


def test_end_labels_keep_their_distance_and_their_order():
    places = spread([0.1, 0.1, 0.12, 0.9], 0.1)
    assert places == sorted(places)
    assert min(b - a for a, b in itertools.pairwise(places)) >= 0.1 - 1e-12
    assert places[-1] == 0.9  # one that has room stays where it is
