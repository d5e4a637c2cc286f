"""Whether a process of this machine is still the one that it was. Nothing here needs JAX."""

from __future__ import annotations

import os
from pathlib import Path


def started_at(pid: int) -> int | None:
    """When a process of this host started, in ticks since the host did: a later one may have its id. None: gone.

    Where there is no /proc, 0 for any process that is there.
    """
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if state in "ZX" else int(fields[18])
    except FileNotFoundError:
        pass
    except ProcessLookupError:
        return None
    if Path("/proc/self/stat").exists():
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return 0
