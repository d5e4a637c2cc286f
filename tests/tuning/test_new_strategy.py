"""A strategy of one's own needs its class, its row, and a line in the table; nothing else."""

from __future__ import annotations

import dataclasses

import pytest
from typer.testing import CliRunner

from shortlist.cli import app
from tuning.strategies import STRATEGIES, Option, Parallel, Point, Row, options
from tuning.studies.plan import plan


@dataclasses.dataclass(frozen=True)
class Doubling(Parallel):
    """Learning rates that double from the first on."""

    budget: int
    first_rate: float = 0.001

    @property
    def title(self) -> str:
        return f"doubling from {self.first_rate:g}"

    def all_points(self) -> tuple[Point, ...]:
        return tuple(Point(str(i), {"learning_rate": self.first_rate * 2**i}) for i in range(self.budget))


@pytest.fixture(autouse=True)
def doubling(monkeypatch):
    option = Option("first_rate", float, "X", "where it begins.")
    monkeypatch.setitem(STRATEGIES, "doubling", Row(Doubling, "parallel", "candidates", (option,), "nobody"))


def test_it_can_be_planned_and_is_recorded_as_it_describes_itself():
    spec = plan(name="s", workloads=("digits/mlp",), strategy="doubling", budget=2, first_rate=0.01)
    assert spec.strategy == {"name": "doubling", "budget": 2, "first_rate": 0.01}
    assert (spec.title, spec.role, spec.draws) == ("doubling from 0.01", "candidates", "chosen")
    rates = [point.hyperparameters["learning_rate"] for point in spec.points["digits/mlp"]]
    assert rates == [0.01, 0.02]


def test_its_options_belong_to_it():
    with pytest.raises(
        ValueError, match="--first-rate does not go with strategy 'quasirandom'; leave it out"
    ):
        plan(name="s", workloads=("digits/mlp",), first_rate=0.01)


def test_the_command_line_offers_every_option_of_the_table():
    said = CliRunner().invoke(app, ["tune", "--help"], env={"COLUMNS": "300"}).stdout
    for name, (option, takers) in options().items():
        if name != "first_rate":  # joined after the command line had read the table
            assert option.flag in said
            assert f"For {', '.join(takers)}: {option.help}" in said
