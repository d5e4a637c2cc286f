"""Which cores a worker is pinned to: none that another worker on this machine has, whichever command's that one is.

Two commands number their workers independently of each other, so that by number alone both would take the first cores.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence

_held: list[socket.socket] = []


def take(core: int) -> bool:
    """Has this process hold a core until it ends, however that is; False where another one holds it.

    What is held is a name of a socket that listens to nobody: it leaves no file behind, and the kernel lets go of it.
    """
    name = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        name.bind(f"\0shortlist core {core}")
    except OSError:
        name.close()
        return False
    _held.append(name)
    return True


def choose(
    cores: Sequence[int], number: int, of: int, taking: Callable[[int], bool] = take
) -> tuple[list[int], int]:
    """The cores that a worker may use, and how many threads it should have.

    As many as are its share, its own ones first, then others that are free. Where none is free it may use all: the
    operating system knows better than a number who is busy.

    Args:
      cores: that its node may use.
      number, of: which of its node's workers it is.
      taking: core -> whether it is this worker's now.

    Example:
      >>> choose([0, 1, 2, 3], 1, 2, lambda core: True)
      ([1, 3], 2)
      >>> choose([0, 1, 2, 3], 0, 4, lambda core: core > 1)  # another command's workers have 0 and 1
      ([2], 1)
      >>> choose([0, 1, 2, 3], 0, 2, lambda core: False)
      ([0, 1, 2, 3], 2)
    """
    share = list(cores[number::of]) or [cores[number % len(cores)]]
    mine: list[int] = []
    for core in [*share, *(core for core in cores if core not in share)]:
        if len(mine) < len(share) and taking(core):
            mine.append(core)
    return (sorted(mine), len(mine)) if mine else (list(cores), len(share))
