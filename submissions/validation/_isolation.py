"""Where the dry run's process runs: in a sandbox that the machine has, or beside the user's own processes.

A sandbox shows of the file system only the interpreter, its packages, the system's libraries and the submission,
all for reading; empty folders of its own for writing; no network, no other process, and no environment but what
Python, JAX and XLA need.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

ISOLATION = ("auto", "require", "off", "bubblewrap", "namespaces")
WHAT = "no network; the submission, the interpreter and the system read-only; a private temporary folder"
PRIVATE = ("/private", "/tmp", "/var/tmp")  # the first is the working directory
BYTES = 1 << 30  # of each of them
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store",
          "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/localtime",
          "/etc/timezone", "/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/sys/devices/system/cpu")  # fmt: skip
VARIABLES = ("PATH", "LANG", "LANGUAGE", "TZ", "LD_LIBRARY_PATH", "OMP_", "OPENBLAS_", "MKL_", "LC_", "PYTHON", "JAX_",
             "XLA_", "TF_", "SHORTLIST_")  # fmt: skip
ROOT = Path(__file__).resolve().parents[2]
KEEPER = Path(__file__).with_name("_keeper.py")


@dataclasses.dataclass(frozen=True)
class Isolation:
    """How the code of a submission was run.

    Attributes:
      isolated: whether in a sandbox.
      how: by what, or why not.
    """

    isolated: bool
    how: str


def candidates(wanted: str) -> list[str]:
    """The ways to try, best first.

    Raises:
      ValueError: not one of `ISOLATION`.
    """
    if wanted not in ISOLATION:
        raise ValueError(f"unknown isolation {wanted!r}; known: {', '.join(ISOLATION)}")
    ways = {"auto": ["bubblewrap", "namespaces", "off"], "require": ["bubblewrap", "namespaces"]}
    return ways.get(wanted, [wanted])


def missing(way: str) -> str:
    """Why a way cannot be tried here; empty if it can."""
    if way == "bubblewrap" and shutil.which("bwrap") is None:
        return "there is no bwrap on PATH"
    if way == "namespaces" and sys.platform != "linux":
        return "only Linux has them"
    return ""


def command(way: str, worker: list[str], readable: Iterable[Path], root: Path) -> list[str]:
    """The command that runs the worker in a way.

    Args:
      way: one of `candidates`.
      worker: arguments of the interpreter.
      readable: what the worker must be able to read besides itself.
      root: an empty folder, mounted over in namespaces of its own.
    """
    if way == "off":
        python = [sys.executable, *worker]
        return (
            [sys.executable, "-I", "-S", str(KEEPER), "null", *python] if sys.platform == "linux" else python
        )
    # By its real path, since that is what is bound; a venv is recognised by the folder that the name is in.
    python = [str(Path(sys.prefix).resolve() / Path(sys.executable).relative_to(sys.prefix)), *worker]
    if not Path(python[0]).exists():
        python[0] = sys.executable
    binds, links = _visible([*map(Path, SYSTEM), *own(), Path(python[0]), *readable])
    if way == "namespaces":
        layout = {"root": str(root), "bytes": BYTES, "private": PRIVATE, "binds": binds, "links": links}
        return [sys.executable, "-I", "-S", str(KEEPER), json.dumps(layout), *python]
    wrap = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    for folder in PRIVATE:
        wrap += ["--size", str(BYTES), "--tmpfs", folder]
    for path in binds:
        wrap += ["--ro-bind", path, path]
    for path, target in links:
        wrap += ["--symlink", target, path]
    wrap += ["--proc", "/proc", "--dev", "/dev", "--remount-ro", "/", "--chdir", PRIVATE[0], "--"]
    return [*wrap, *python]


def environment(way: str) -> dict[str, str]:
    """Where the packages are that this process found, and no programs from earlier: what compiles again shall be seen
    to take its time, whatever cache the user has. In a sandbox, nothing else that is only the user's."""
    inherited = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
    if way != "off":
        inherited = {name: value for name, value in inherited.items() if name.startswith(VARIABLES)}
        inherited |= {"HOME": PRIVATE[0], "TMPDIR": PRIVATE[0], "JAX_PLATFORMS": "cpu"}
    given = [os.path.abspath(one) for one in os.environ.get("PYTHONPATH", "").split(os.pathsep) if one]
    return {**inherited, "PYTHONPATH": os.pathsep.join([str(ROOT), *given])}


def own() -> list[Path]:
    """Folders of the interpreter, of its packages and of this project."""
    script = Path(sys.argv[0]).parent if sys.argv and sys.argv[0] else Path()
    private = {
        Path.cwd(),
        Path.home(),
        script.resolve(),
        Path("/"),
    }  # python puts these first, for its caller alone
    asked = {Path(one).resolve() for one in os.environ.get("PYTHONPATH", "").split(os.pathsep) if one}
    found = [Path(one).resolve() for one in sys.path if one and Path(one).exists()]
    found = [one for one in found if one in asked or one not in private]
    prefixes = [
        Path(one) for one in (sys.prefix, sys.base_prefix, sys.exec_prefix, sysconfig.get_path("stdlib"))
    ]
    return [ROOT, *found, *prefixes]


def _visible(paths: Iterable[Path]) -> tuple[list[str], list[tuple[str, str]]]:
    """Folders and files to show, none within another, and the symbolic links that lead to them."""
    real, links = set(), {}
    for path in paths:
        if path.exists():
            real.add(path.resolve())
            links |= _links(Path(os.path.abspath(path)))
    binds = sorted(one for one in real if not any(above in real for above in one.parents))
    outside = [
        (str(link), target)
        for link, target in links.items()
        if not any(link.is_relative_to(one) for one in binds)
    ]
    return [str(one) for one in binds], outside


def _links(path: Path) -> dict[Path, str]:
    """Every symbolic link on the way along a path, with what it says."""
    found, waiting = {}, [path]
    while waiting and len(found) < 40:
        here, parts = Path("/"), waiting.pop().parts[1:]
        for number, part in enumerate(parts):
            here = here / part
            if here.is_symlink():
                target = os.readlink(here)
                found[here] = target
                waiting.append(Path(os.path.normpath(here.parent / target)).joinpath(*parts[number + 1 :]))
                break
    return found
