"""Watches what the submission causes while it runs: Python's audit events, and a few calls that have none.

Whose doing something is follows from who calls: the nearest frame that is not the standard library's. Native code is
not seen; that it is loaded or called is. Hooks cannot be removed, so this belongs into the dry run's process alone.
"""

from __future__ import annotations

import contextlib
import os
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

Note = Callable[[str, str, str, int], None]  # code, message, path, line
FILES, NETWORK, PROGRAM, ENVIRONMENT, REACH = "R502", "R503", "R504", "R516", "R519"
READ = {"open", "os.listdir", "os.scandir", "os.walk", "os.getxattr", "os.listxattr"}
# Which arguments of these are paths that are changed.
CHANGED = {
    "os.remove": 1, "os.rename": 2, "os.link": 2, "os.symlink": 2, "os.mkdir": 1, "os.rmdir": 1, "os.chmod": 1,
    "os.chown": 1, "os.lchmod": 1, "os.chflags": 1, "os.lchflags": 1, "os.truncate": 1, "os.utime": 1,
    "os.setxattr": 1, "os.removexattr": 1, "os.chdir": 1, "sqlite3.connect": 1, "os.mkfifo": 1, "os.mknod": 1,
}  # fmt: skip
OTHERS = {
    "os.system": PROGRAM, "os.fork": PROGRAM, "os.forkpty": PROGRAM, "os.exec": PROGRAM, "os.posix_spawn": PROGRAM,
    "os.spawn": PROGRAM, "os.startfile": PROGRAM, "subprocess.Popen": PROGRAM, "pty.spawn": PROGRAM,
    "_posixsubprocess.fork_exec": PROGRAM, "urllib.Request": NETWORK, "webbrowser.open": NETWORK,
    "os.putenv": ENVIRONMENT, "os.unsetenv": ENVIRONMENT, "os.kill": REACH, "os.killpg": REACH,
    "signal.pthread_kill": REACH, "resource.setrlimit": REACH, "resource.prlimit": REACH, "sys.addaudithook": REACH,
    "sys.settrace": REACH, "sys.setprofile": REACH, "marshal.loads": REACH, "marshal.load": REACH,
    "code.__new__": REACH, "gc.get_objects": REACH, "gc.get_referrers": REACH, "gc.get_referents": REACH,
    "os.memfd_create": REACH, "atexit.register": REACH, "signal.signal": REACH,
}  # fmt: skip
# Libraries that may do these for a submission that only computes, such as a thread that compiles.
TRUSTED = ("jax", "jaxlib", "flax", "optax", "chex", "numpy", "scipy", "orbax", "etils", "absl", "ml_dtypes",
           "algoperf")  # fmt: skip
WORKER = str(Path(__file__).with_name("_worker.py"))
ROOMS = ("submissions", "workloads", "tuning", "results", "lists", "reports", "shortlist")
BY_TRUSTED = {"_thread.start_new_thread", "atexit.register", "signal.signal", "code.__new__", "marshal.loads",
              "gc.get_objects", "gc.get_referrers", "gc.get_referents", "sys.setprofile", "sys.settrace"}  # fmt: skip
SYSTEM = ("/proc/cpuinfo", "/proc/meminfo", "/sys", "/usr/share/zoneinfo", "/etc/localtime", "/dev/null")
# Calls that Python has no event for.
UNSEEN = {
    "_posixsubprocess": ["fork_exec"], "os": ["mkfifo", "mknod", "memfd_create"],
    "posix": ["mkfifo", "mknod", "memfd_create"], "atexit": ["register"], "signal": ["signal"],
    "_thread": ["start_new_thread", "start_new", "start_joinable_thread"],
    "threading": ["_start_new_thread", "_start_joinable_thread"],
}  # fmt: skip


class Audit:
    """Notes what happens between `begin` and `end`."""

    def __init__(self, folder: Path, note: Note, sources: Iterable[str], trusted: Iterable[str]) -> None:
        """
        Args:
          folder: of the submission.
          sources: the submission's own files outside of the folder.
          trusted: folders of workloads that are not its.
          note: called once with each (code, message, path, line); path and line may be empty.
        """
        self.folder = str(folder.resolve())
        self._own = (self.folder, *sources)
        self._note, self._seen, self._active, self._ours = note, set(), False, False
        self._thread = threading.get_ident()
        self._inside = threading.local()
        here = str(Path(__file__).resolve().parents[2])
        library = {os.path.realpath(sysconfig.get_path(name)) for name in ("purelib", "platlib")}
        standard = {os.path.realpath(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}
        self._standard = tuple(standard)
        self._trusted = tuple(os.path.join(root, name) for root in library for name in TRUSTED)
        # Not all of a checkout: studies and results may lie in it.
        rooms = [os.path.join(here, name) for name in ROOMS]
        self._trusted += (*rooms, *trusted)
        prefixes = {os.path.realpath(one) for one in (sys.prefix, sys.base_prefix)}
        self._roots = tuple({*library, *standard, *prefixes, *rooms, *trusted})
        # Where imports look, and look again when somebody has changed something there.
        self._searched = {os.path.realpath(one) for one in sys.path}
        self._kinds: dict[str, str] = {}
        sys.addaudithook(self._hook)

    def begin(self) -> None:
        """From here on, what happens is the submission's doing."""
        self._active = True

    def end(self) -> None:
        """From here on, nothing is noted."""
        self._active = False

    @contextlib.contextmanager
    def ours(self) -> Iterator[None]:
        """What the dry run does itself: only what the submission's own frames do is noted."""
        self._ours = True
        try:
            yield
        finally:
            self._ours = False

    def guard(self) -> None:
        """Has the calls noted that Python has no event for. Changes the modules, for good."""
        for module, names in UNSEEN.items():
            found = __import__(module)
            for name in names:
                if hasattr(found, name):
                    setattr(found, name, self._guarded(module, name, getattr(found, name)))

    def _guarded(self, module: str, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        event = f"{'os' if module == 'posix' else module}.{name}"
        if "thread" in module:
            event = "_thread.start_new_thread"

        def guarded(*arguments: Any, **named: Any) -> Any:
            self._hook(event, arguments)
            return function(*arguments, **named)

        return guarded

    def _hook(self, event: str, arguments: tuple) -> None:
        if not self._active or getattr(self._inside, "hook", False):
            return
        if not (event in READ or event in CHANGED or event in OTHERS or event.startswith(("socket.", "ctypes."))
                or event in ("_thread.start_new_thread", "compile", "import", "object.__setattr__")):  # fmt: skip
            return
        self._inside.hook = True  # what is done in here is nobody's doing
        try:
            self._event(event, arguments)
        finally:
            self._inside.hook = False

    def _event(self, event: str, arguments: tuple) -> None:
        nearest, opener, own = self._caller()
        foreign = threading.get_ident() != self._thread
        if own is None and self._ours and not foreign:
            return
        found = self._judge(event, arguments, nearest, opener if own or nearest != "trusted" else "import")
        if found is not None:
            code, message = found
            file, line = own or ("", 0)
            key = (code, message, file, line)
            if key not in self._seen and len(self._seen) < 2000:
                self._seen.add(key)
                self._note(*key)

    def _judge(self, event: str, arguments: tuple, nearest: str, opener: str) -> tuple[str, str] | None:
        """(code, message) of what an event is; None if it is harmless."""
        first = arguments[0] if arguments else None
        if event == "open":
            mode, flags = arguments[1], arguments[2] or 0
            writes = bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND))
            writes = writes or (isinstance(mode, str) and any(letter in mode for letter in "wax+"))
            return None if isinstance(first, int) else self._path(first, writes, "opens", nearest, opener)
        if event in READ:
            return self._path("." if first is None else first, False, event, nearest, opener)
        if event in CHANGED:
            for path in arguments[: CHANGED[event]]:
                found = self._path(path, True, event, nearest, opener)
                if found:
                    return found
            return None
        if event.startswith("socket."):
            harmless = event == "socket.gethostname" and nearest == "trusted"
            return None if harmless else (NETWORK, f"{event} {_shown(arguments)}")
        if event.startswith("ctypes."):
            known = first is None or self._is_under(first, (*self._roots, "/usr", "/lib"))
            harmless = nearest == "trusted" and (event != "ctypes.dlopen" or known)
            return None if harmless else (REACH, f"native code: {event} {_shown(arguments[:1])}")
        if event == "_thread.start_new_thread":
            return None if nearest == "trusted" else (PROGRAM, "starts a thread")
        if event == "import":
            file = arguments[1]
            harmless = not file or self._is_under(file, (*self._roots, "/usr", "/lib"))
            return None if harmless else (REACH, f"loads native code: {file}")
        if event == "compile":
            return self._named(arguments[1]) if nearest == "own" and opener == "own" else None
        if event == "object.__setattr__":
            changes = arguments[1] == "__code__" and nearest == "own"
            return (REACH, f"replaces the code of {first!r:.60}") if changes else None
        if event in BY_TRUSTED and (nearest == "trusted" or (event != "atexit.register" and opener != "own")):
            return None
        return OTHERS[event], f"{event} {_shown(arguments)}"

    def _named(self, file: Any) -> tuple[str, str] | None:
        """Code that is compiled as if it were of another file."""
        name = os.fsdecode(file) if isinstance(file, (str, bytes)) else str(file)
        if self._is_under(name, (self.folder,)) or name in ("<string>", "<stdin>", "<unknown>"):
            return None
        return REACH, f"compiles code under the name {name[:80]!r}"

    def _path(self, path: Any, writes: bool, what: str, nearest: str, opener: str) -> tuple[str, str] | None:
        if isinstance(path, int):
            return FILES, f"{what} of a descriptor"
        try:
            name = os.path.realpath(os.fsdecode(path))
        except (TypeError, ValueError):
            return None
        if name == "/dev/null":
            return None
        if not writes:
            if opener == "import" and self._is_under(name, (*self._roots, *self._own, os.getcwd())):
                return None
            if opener == "import" and what == "os.listdir" and name in self._searched:
                return None
            if nearest == "trusted" and self._is_under(name, SYSTEM):
                return None
            if self._is_under(name, self._roots) and not self._is_under(name, (self.folder,)):
                return None
        verb = "writes" if writes and what == "opens" else what
        inside = self._is_under(name, (self.folder,))
        return ("R501" if inside and not writes else FILES), f"{verb} {name[:200]}"

    def _is_under(self, path: Any, roots: Iterable[str]) -> bool:
        try:
            name = os.path.realpath(os.fsdecode(path))
        except (TypeError, ValueError):
            return False
        return any(name == root or name.startswith(root.rstrip(os.sep) + os.sep) for root in roots)

    def _caller(self) -> tuple[str, str, tuple[str, int] | None]:
        """What the nearest frame is that is not the standard library's, what the very nearest is, and the place in the
        submission's own code."""
        frame: FrameType | None = sys._getframe(3)
        nearest = opener = ""
        code: tuple[str, int] | None = None
        while frame is not None:
            file = frame.f_code.co_filename
            if file == WORKER:
                return (
                    nearest or "trusted",
                    opener or "trusted",
                    code,
                )  # who called that is not the submission
            if file != __file__:
                kind = self._kind(file)
                opener = opener or kind
                if kind in ("own", "trusted"):
                    nearest = nearest or kind
                if kind == "own":
                    if self._is_under(file, self._own):
                        return nearest, opener, (file, frame.f_lineno)
                    code = code or ("", 0)
            frame = frame.f_back
        return nearest, opener, code

    def _kind(self, file: str) -> str:
        """import, standard, trusted, library or own. By where the code lies: its names can be chosen."""
        if file not in self._kinds:
            self._kinds[file] = self._kind_of(file)
        return self._kinds[file]

    def _kind_of(self, file: str) -> str:
        if file.startswith("<frozen importlib") or file.endswith(("linecache.py", "tokenize.py")):
            return "import"
        if file.startswith("<frozen"):
            return "standard"
        if self._is_under(file, self._own):
            return "own"
        if not file.startswith("<") and self._is_under(file, self._trusted):
            return "trusted"
        if not file.startswith("<") and self._is_under(file, self._roots):
            inside = any(part in file for part in ("site-packages", "dist-packages"))
            return "library" if inside or not self._is_under(file, self._standard) else "standard"
        return "own"


def _shown(arguments: tuple) -> str:
    shown = []
    for one in arguments:
        shown.append(
            repr(one) if isinstance(one, (str, bytes, int, float, tuple, list)) else type(one).__name__
        )
    return f"({', '.join(shown)})"[:100]
