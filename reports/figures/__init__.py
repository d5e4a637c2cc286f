"""Figures: each is one function of a DataFrame."""

from reports.figures._along import figure_along
from reports.figures._figures import (
    figure_cost_by_length,
    figure_performance_profile,
    figure_step_fractions,
)
from reports.figures._list_sizes import figure_list_sizes
from reports.figures._outer_steps import figure_outer_steps
from reports.figures._speedups import figure_speedups
from reports.figures._tuning_curves import MOST_DRAWN, figure_tuning_curve, figure_tuning_curves

__all__ = [
    "MOST_DRAWN",
    "figure_along",
    "figure_cost_by_length",
    "figure_list_sizes",
    "figure_outer_steps",
    "figure_performance_profile",
    "figure_speedups",
    "figure_step_fractions",
    "figure_tuning_curve",
    "figure_tuning_curves",
]
