"""How near a process is to the number of memory mappings that Linux allows it.

A compiled program on a CPU takes some hundreds of mappings, that of a learned optimizer a thousand and more, of 65,530
(`vm.max_map_count`). A process that has used them up cannot compile any more: XLA says "Cannot allocate memory", with
gigabytes free, and ends the process by a signal. So programs have to be let go in time.
"""

from __future__ import annotations

from pathlib import Path

MOST = Path("/proc/sys/vm/max_map_count")
MAPS = Path("/proc/self/maps")
SHARE = 0.4  # the rest is for programs that are being compiled, and for everything else


def crowded() -> bool:
    """Whether a process has used so many mappings that programs it can do without should go; False where none count.

    Example:
      >>> crowded()
      False
    """
    try:
        most = int(MOST.read_text())
        with MAPS.open("rb") as lines:
            return sum(1 for _ in lines) > SHARE * most
    except (OSError, ValueError):  # not Linux, or hidden
        return False
