"""Starts a process, and leaves nothing of it behind: `python -I -S _keeper.py LAYOUT COMMAND...`, on Linux.

LAYOUT is JSON. `null`: the command runs as it would anyway; when it ends, or this process is told to, all that came
from it is killed, also what called setsid or forked twice, since orphans become children of this process. An object:
the command runs in namespaces of its own, where of the file system there is only what the layout names
(`_isolation`), no network and no other process; the kernel ends them all with the first of them.

Run as a file, of the standard library alone, so that it starts in hundredths of a second and reads nothing of ours.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import sys
import time

SUBREAPER, DEATH_SIGNAL, NO_NEW_PRIVILEGES, DROP_CAPABILITY = 36, 1, 38, 24  # prctl
NAMESPACES = (
    0x00020000 | 0x10000000 | 0x40000000 | 0x20000000 | 0x08000000 | 0x04000000
)  # mnt user net pid ipc uts
NOSUID, NODEV, NOEXEC, BIND, RECURSIVE, PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18  # mount
READ_ONLY, SETATTR, HERE, EVERYWHERE = 1, 442, -100, 0x8000  # mount_setattr
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
LIBC = ctypes.CDLL(None, use_errno=True)


def main(layout: dict | None, command: list[str]) -> int:
    """The command's exit status; 128 + n for signal n."""
    LIBC.prctl(SUBREAPER, 1)
    LIBC.prctl(DEATH_SIGNAL, signal.SIGTERM)
    signal.signal(signal.SIGTERM, lambda *_: stop())
    if layout is not None:
        unshare()
    child = os.fork()
    if not child:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if layout is None:
            os.setsid()
            start(command)
            return 127  # not reached
        LIBC.prctl(DEATH_SIGNAL, signal.SIGKILL)
        os._exit(first(layout, command))
    status = wait_for(child)
    sweep()
    return status


def wait_for(child: int) -> int:
    while True:
        process, status = os.wait()
        if process == child:
            return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def start(command: list[str]) -> None:
    try:
        os.execv(command[0], command)
    except OSError as error:
        print(f"{command[0]}: {error}", file=sys.stderr)
        os._exit(127)


def stop() -> None:
    sweep()
    os._exit(128 + signal.SIGTERM)


def sweep() -> None:
    """Kills all children until there are none; those of a killed child become this process's own."""
    end = time.monotonic() + 5
    while time.monotonic() < end:
        for process in children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.01)


def children() -> list[int]:
    me, found = os.getpid(), []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as file:
                    parent = int(file.read().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if parent == me:
                found.append(int(name))
    return found


# ---- Namespaces ------------------------------------------------------------------------------------------------


def check(result: int, what: str) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def unshare() -> None:
    user, group = os.getuid(), os.getgid()
    check(LIBC.unshare(NAMESPACES), "unshare")
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {user} 1"),
        ("gid_map", f"{group} {group} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def mount(source: str, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    given = [None if text is None else os.fsencode(text) for text in (source, target, kind)]
    check(LIBC.mount(*given, flags, options and options.encode()), f"mount {target}")


def read_only(target: str, recursive: bool) -> None:
    """With all that is mounted below, whatever flags it has already."""
    attributes = (ctypes.c_uint64 * 4)(READ_ONLY | 2, 0, 0, 0)  # 2: no set-user-id
    flags = EVERYWHERE if recursive else 0
    check(LIBC.syscall(SETATTR, HERE, os.fsencode(target), flags, attributes, 32), f"mount_setattr {target}")


def first(layout: dict, command: list[str]) -> int:
    """Process 1 of the namespaces: makes the file system, gives up all rights, runs the command."""
    root, size = layout["root"], f"size={layout['bytes']},mode=0755"
    mount("none", "/", None, RECURSIVE | PRIVATE)
    mount("tmpfs", root, "tmpfs", NOSUID | NODEV, size)
    for folder in layout["private"]:
        os.makedirs(root + folder, exist_ok=True)
        mount("tmpfs", root + folder, "tmpfs", NOSUID | NODEV, size)
    for path in layout["binds"]:
        if os.path.isdir(path):
            os.makedirs(root + path, exist_ok=True)
        else:
            os.makedirs(os.path.dirname(root + path), exist_ok=True)
            with open(root + path, "a"):
                pass
        mount(path, root + path, None, BIND | RECURSIVE)
        read_only(root + path, True)
    for path, target in layout["links"]:
        os.makedirs(os.path.dirname(root + path), exist_ok=True)
        os.symlink(target, root + path)
    os.makedirs(root + "/proc", exist_ok=True)
    mount("proc", root + "/proc", "proc", NOSUID | NODEV | NOEXEC)
    os.makedirs(root + "/dev/shm", exist_ok=True)
    mount("tmpfs", root + "/dev/shm", "tmpfs", NOSUID | NODEV, size)
    for name in ("null", "zero", "full", "random", "urandom"):
        with open(f"{root}/dev/{name}", "a"):
            pass
        mount(f"/dev/{name}", f"{root}/dev/{name}", None, BIND)
    os.symlink("/proc/self/fd", f"{root}/dev/fd")
    os.chdir(root)
    check(LIBC.syscall(PIVOT_ROOT[os.uname().machine], b".", b"."), "pivot_root")
    check(LIBC.umount2(b".", 2), "umount")
    os.chdir("/")
    read_only("/", False)
    os.chdir(layout["private"][0])
    child = os.fork()
    if not child:
        os.setsid()
        # Without this, user 0 would have all rights in these namespaces again, such as to mount for writing.
        for capability in range(64):
            LIBC.prctl(DROP_CAPABILITY, capability)
        check(LIBC.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0), "no_new_privs")
        start(command)
    return wait_for(child)


if __name__ == "__main__":
    try:
        sys.exit(main(json.loads(sys.argv[1]), sys.argv[2:]))
    except (OSError, KeyError) as failure:
        print(f"cannot isolate: {failure}", file=sys.stderr)
        os._exit(126)
