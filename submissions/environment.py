"""What made a result: versions, device and command, stored with every trial."""

from __future__ import annotations

import functools
import hashlib
import platform
import shlex
import socket
import sys
from importlib import metadata
from pathlib import Path

from workloads.data.caches import cache_folder

# Whose files decide numbers.
ROOMS = ("workloads", "submissions", "results", "tuning")
PACKAGES = ("shortlist", "jax", "jaxlib", "optax", "numpy", "scikit-learn")


@functools.cache
def versions() -> dict[str, str]:
    """Versions of Python and of every package that numbers depend on."""
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in PACKAGES}


@functools.cache
def source() -> str:
    """SHA-256 of the files of Shortlist itself that numbers depend on, which a version does not tell while it is worked
    on."""
    root, made = Path(__file__).resolve().parent.parent, hashlib.sha256()
    for room in ROOMS:
        for file in sorted((root / room).rglob("*")):
            if file.suffix in (".py", ".json") and file.is_file():
                content = file.read_bytes()
                made.update(f"{file.relative_to(root).as_posix()}\0{len(content)}\0".encode() + content)
    return made.hexdigest()


def host() -> str:
    """The name of this machine."""
    return socket.gethostname()


def device_kind() -> str:
    """What kind of device JAX trains on, such as `cpu` or `gpu NVIDIA H200`: alike where numbers are comparable.

    Processors differ in the order in which they sum, and are one kind nevertheless: what they give agrees but for that.
    """
    import jax

    first = jax.local_devices()[0]
    return first.platform if first.platform == "cpu" else f"{first.platform} {first.device_kind}"


@functools.cache
def device() -> str:
    """The device that JAX trains on, with the processor behind it, such as `cpu × 1 (AMD EPYC, 2 cores)`."""
    import os

    import jax

    devices = jax.devices()
    kind = devices[0].device_kind if devices[0].platform != "cpu" else _processor()
    hosts = f" on {jax.process_count()} hosts" if jax.process_count() > 1 else ""
    return f"{devices[0].platform} × {len(devices)}{hosts} ({kind}, {os.cpu_count()} cores)"


def use_compilation_cache() -> None:
    """Keeps compiled programs between processes, where the user's other caches are. For commands that train."""
    import jax

    folder = cache_folder()
    if folder is None:
        return
    jax.config.update("jax_compilation_cache_dir", str(folder / "xla"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


def for_workers() -> dict[str, str]:
    """Environment variables with which another Python process finds what this one finds, compiled programs too."""
    import os

    import jax

    variables = {"PYTHONPATH": os.pathsep.join(os.path.abspath(folder) for folder in sys.path)}
    for name in ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs"):
        if (value := getattr(jax.config, name)) is not None:
            variables[name.upper()] = str(value)
    return variables


def command() -> str | None:
    """The command line that this process runs, such as `shortlist demo --out demo`; None under Python of one's own."""
    called = Path(sys.argv[0])
    ours = called.name == "shortlist" or called.parts[-2:] == ("shortlist", "cli.py")
    return shlex.join(["shortlist", *sys.argv[1:]]) if ours else None


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()
