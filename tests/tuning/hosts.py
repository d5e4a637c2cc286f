"""Hosts that are networks of their own on this machine, and what runs there."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.tuning.test_contract import until


def processes_of(folder):
    """Processes of a Ray that lives in a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"RAY_TMPDIR={folder}\0".encode() in (process / "environ").read_bytes():
                found.append(int(process.name))
    return found


class Host:
    """A network of its own, which a link joins to another one's."""

    def __init__(self, ip):
        self.ip = ip
        self._process = subprocess.Popen(["unshare", "-n", "sleep", "infinity"])
        self.inside = ["nsenter", "-t", str(self._process.pid), "-n"]
        ours = os.readlink("/proc/self/ns/net")
        until(lambda: os.readlink(f"/proc/{self._process.pid}/ns/net") != ours)

    def join(self, other):
        run("ip", "link", "add", "link0", "netns", self._process.pid, "type", "veth",
            "peer", "name", "link0", "netns", other._process.pid)  # fmt: skip
        for one, gate in ((self, other), (other, self)):
            run(*one.inside, "ip", "address", "add", f"{one.ip}/24", "dev", "link0")
            run(*one.inside, "ip", "link", "set", "lo", "up")
            run(*one.inside, "ip", "link", "set", "link0", "up")
            run(*one.inside, "ip", "route", "add", "default", "via", gate.ip)

    def vanish(self):
        """Nothing is closed, nobody answers."""
        run(*self.inside, "ip", "link", "set", "link0", "down")

    @contextlib.contextmanager
    def entered(self):
        """What this thread starts is there."""
        libc = ctypes.CDLL(None, use_errno=True)

        def enter(process):
            with Path(f"/proc/{process}/ns/net").open() as network:
                assert libc.setns(network.fileno(), 0) == 0, os.strerror(ctypes.get_errno())

        with Path("/proc/thread-self/ns/net").open() as ours:
            enter(self._process.pid)
            try:
                yield
            finally:
                assert libc.setns(ours.fileno(), 0) == 0

    def end(self):
        self._process.kill()
        self._process.wait()


def run(*command):
    subprocess.run([str(part) for part in command], check=True)


@pytest.fixture
def two_hosts():
    """Two networks on this machine, and nothing else in reach of them."""
    allowed = os.geteuid() == 0 and all(map(shutil.which, ("unshare", "nsenter", "ip")))
    if not allowed or subprocess.run(["unshare", "-n", "true"], check=False).returncode:
        pytest.skip("needs unshare, nsenter, ip and their rights")
    hosts = Host("10.99.0.1"), Host("10.99.0.2")
    try:
        hosts[0].join(hosts[1])
        yield hosts
    finally:
        for host in hosts:
            host.end()
