"""What Ray finds around it when it starts: a folder of its own, no way to the network, a token. Nothing here needs Ray.

Left to itself Ray listens on all interfaces, writes its token where everybody can read it, keeps its files for ever,
and looks for the computer that it runs on in the clouds.
"""

from __future__ import annotations

import secrets
import shutil
import site
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

_LONGEST_FOLDER = 40  # characters: the path of a socket of Ray's ends 62 further on, and may have 107


def own_folder() -> Path:
    """A new folder for everything that a Ray of ours writes, which its owner alone can read."""
    base = tempfile.gettempdir()
    if len(base) + len("/shortlist-ray-12345678") > _LONGEST_FOLDER:
        base = "/tmp"
    folder = Path(tempfile.mkdtemp(prefix="shortlist-ray-", dir=base))
    (folder / "home").mkdir()
    (folder / "tmp").mkdir()  # of workers, which are killed and cannot remove anything
    # With this file there, which only a launcher of clusters writes, Ray asks no cloud whose computer it runs on.
    (folder / "home" / "ray_bootstrap_config.yaml").write_text("{}\n")
    return folder


def remove(folder: Path) -> None:
    """Deletes it, whatever of Ray still ends there."""
    for _ in range(5):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return


def of_our_own(folder: Path, given: Mapping[str, str]) -> dict[str, str]:
    """Environment of a Ray that only this machine can reach.

    Args:
      folder: see `own_folder`.
      given: environment to change.
    """
    own = {
        "HOME": str(folder / "home"),
        "PYTHONUSERBASE": given.get("PYTHONUSERBASE") or site.getuserbase(),  # else it follows HOME
        "RAY_TMPDIR": str(folder),
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # binds everything to 127.0.0.1, on Linux too
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),  # not in a file, which Ray would let everybody read
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_USAGE_STATS_REPORT_URL": "http://127.0.0.1:9/",  # a head reports even that it does not report
        "RAY_gcs_server_port_wait_time_s": "120",  # times of a machine that has much to do
        "RAY_worker_register_timeout_seconds": "300",
        "RAY_worker_niceness": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # what a worker sees, we say ourselves
    }
    others = ("RAY_ADDRESS", "RAY_AUTH_TOKEN_PATH", "RAY_NAMESPACE", "RAY_RUNTIME_ENV_HOOK")
    return {name: value for name, value in given.items() if name not in others} | own


def of_a_cluster(given: Mapping[str, str]) -> dict[str, str]:
    """Environment of a process that joins a cluster, which is as its owner set it up.

    Raises:
      ValueError: others can read the cluster's token.
    """
    file = Path(
        given.get("RAY_AUTH_TOKEN_PATH") or Path(given.get("HOME", "~")).expanduser() / ".ray/auth_token"
    )
    if "RAY_AUTH_TOKEN" not in given and file.exists():
        mode = stat.S_IMODE(file.stat().st_mode)
        if mode & 0o077:
            raise ValueError(
                f"{file}: others can read this token of the cluster (mode {mode:04o}); run chmod 600 {file}"
            )
    return dict(given) | {"RAY_USAGE_STATS_ENABLED": "0"}
