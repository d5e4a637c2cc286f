"""Contenders of any sources held against each other: costs, differences, and how surely."""

from reports.comparison._compare import MOST_PAIRS, compare, held_against
from reports.comparison._found import SourceComparison
from reports.comparison._measured import Measured, contenders_of

__all__ = ["MOST_PAIRS", "Measured", "SourceComparison", "compare", "contenders_of", "held_against"]
