"""Where workers are: cores of one machine, for several commands, and parts of accelerators."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tuning.engine import _spread
from tuning.execution.executors.on_ray import cores, executor
from tuning.execution.work import Kept


class Machine:
    """Cores that are held by whoever asked first."""

    def __init__(self):
        self.held = {}

    def worker(self, name, number, of, cores_of_node=range(8)):
        taking = lambda core: self.held.setdefault(core, name) == name  # noqa: E731
        return cores.choose(cores_of_node, number, of, taking)


def test_workers_of_one_command_share_all_cores():
    machine = Machine()
    shares = [machine.worker(f"a{i}", i, 3)[0] for i in range(3)]
    assert shares == [[0, 3, 6], [1, 4, 7], [2, 5]]


def test_a_second_command_takes_the_cores_that_the_first_one_leaves():
    # A node of 8 places of which each command wants 4: both number theirs 0 to 3.
    machine = Machine()
    first = [machine.worker(f"a{i}", i, 8)[0] for i in range(4)]
    second = [machine.worker(f"b{i}", i, 8)[0] for i in range(4)]
    assert sorted(core for one in (*first, *second) for core in one) == list(range(8))


def test_where_all_cores_are_taken_nobody_is_pinned_to_one():
    machine = Machine()
    for i in range(8):
        machine.worker(f"a{i}", i, 8)
    assert machine.worker("b", 0, 8) == (list(range(8)), 1)
    assert machine.worker("c", 5, 2, [3]) == ([3], 1)


def test_a_core_is_held_until_its_worker_is_gone():
    mine = 100_000 + os.getpid()  # no machine has so many
    hold = (
        f"from tuning.execution.executors.on_ray import cores; print(cores.take({mine}), flush=True); input()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout.readline() == "True\n"
        assert not cores.take(mine)
        holder.kill()
    assert cores.take(mine)


TABLE = {
    "workers_per_device": {"gpu": {"mlp": 4, "other": 1}, "NVIDIA H200": {"mlp": 3, "rnn": 2, "other": 1}}
}


@pytest.mark.parametrize(
    ("cost_classes", "device", "workers"),
    [
        (["mlp"], "gpu Abacus", 4),  # its platform's row
        (["mlp"], "gpu NVIDIA H200", 3),
        (["mlp", "rnn"], "gpu NVIDIA H200", 2),  # of several the least
        (["mlp", "conv"], "gpu NVIDIA H200", 1),
        ([], "gpu", 1),
        (["mlp"], "tpu v5", 1),  # which nobody has measured
    ],
)
def test_workers_share_an_accelerator_as_the_table_says(monkeypatch, cost_classes, device, workers):
    monkeypatch.setattr(_spread, "_tables", lambda: TABLE)
    assert _spread.workers_per_device(cost_classes, device) == workers


@pytest.mark.parametrize(("address", "each"), [("127.0.0.1:1", 4), (None, 3)])
def test_ray_is_told_what_the_table_says(monkeypatch, address, each):
    """Of a cluster the kind of its devices is not known yet, of this machine it is."""

    class Told(Exception):
        pass

    def start(plan):
        raise Told(plan)

    monkeypatch.setattr(_spread, "_tables", lambda: TABLE)
    monkeypatch.setattr(executor, "DriverProcess", start)
    monkeypatch.setattr(executor.environment, "device_kind", lambda: "gpu NVIDIA H200")
    with pytest.raises(Told) as told:
        executor.Ray(None, Kept(), {"address": address, "cost_classes": ["mlp"]})
    assert told.value.args[0]["each"]["gpu"] == each
