"""`shortlist workloads`: families, filtered lists and one workload, for people and for machines."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from shortlist import cli


def run(*arguments: str) -> str:
    result = CliRunner().invoke(cli.app, ["workloads", *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_without_arguments_the_families_are_counted():
    machine = json.loads(run("--json"))
    count = len(machine["workloads"])
    assert count > 1309  # TaskSet's are among them
    assert machine["families"]["mlp_ae_family"]["members"] == 100
    person = run()
    assert f"{count:,} workloads" in person
    for family, row in machine["families"].items():
        (line,) = [line for line in person.splitlines() if line.startswith(f"{family} ")]
        assert row["kind"] in line
        assert f" {row['members']}" in line
        assert row["example"] in line


def test_filters_list_the_same_names_to_people_and_machines():
    arguments = ("--family", "mlp_family", "--data", "mnist", "--seeds", "0:20")
    rows = json.loads(run(*arguments, "--json"))["workloads"]
    assert {"taskset/mlp_family_seed3", "taskset/mlp_family_seed15"} <= {row["name"] for row in rows}
    assert {row["data"] for row in rows} == {"mnist"}
    person = run(*arguments)
    assert all(row["name"] in person for row in rows)
    assert f"{len(rows)} workloads" in person


def test_fixed_and_sampled_tasks_are_told_apart():
    assert len(json.loads(run("--fixed", "--json"))["workloads"]) == 109
    assert len(json.loads(run("--sampled", "--json"))["workloads"]) == 1200
    assert len(json.loads(run("--seeds", "7", "--json"))["workloads"]) == 12


def test_costs_are_shown_where_they_were_asked_for():
    (row,) = json.loads(
        run("--family", "two_d", "--max-parameters", "2", "--data", "generated", "--max-flops", "0", "--json")
    )["workloads"][:1]
    assert (row["parameters"], row["flops_per_step"]) == (2, 0)


def test_one_workload_is_shown_whole():
    (row,) = json.loads(run("taskset/FixedMLP_mnist_ce_128x128x128_relu_bs128", "--json"))["workloads"]
    layers = ((784, 128), (128, 128), (128, 128), (128, 10))
    assert row["parameters"] == sum(inputs * outputs + outputs for inputs, outputs in layers)
    assert row["config"]["hidden"] == [128, 128, 128]
    person = run("taskset/FixedMLP_mnist_ce_128x128x128_relu_bs128")
    assert f"{row['parameters']:,}" in person
    assert f"{row['flops_per_step']:,}" in person
    assert row["stands_in_for"] in person
    assert '"hidden": [128, 128, 128]' in person


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--seeds", "7:3"), "is empty"),
        (("--seeds", "a:b"), "is not a range; write 0:100"),
        (("--family", "nvp_famly"), "did you mean 'nvp_family'"),
        (("clicks/mlp", "--fixed"), "names or filters, not both"),
        (("clicks/mpl",), "did you mean 'clicks/mlp'"),
    ],
)
def test_wrong_arguments_are_refused_in_one_line(arguments, message):
    with pytest.raises(ValueError, match=message) as caught:
        run(*arguments)
    assert "\n" not in str(caught.value)
