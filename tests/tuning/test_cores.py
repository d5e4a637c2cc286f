"""Workers of several commands on one machine, and its cores."""

from __future__ import annotations

import os
import subprocess
import sys

from tuning.execution.on_ray import cores


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
    hold = f"from tuning.execution.on_ray import cores; print(cores.take({mine}), flush=True); input()"
    holder = subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout.readline() == "True\n"
        assert not cores.take(mine)
        holder.kill()
    assert cores.take(mine)
