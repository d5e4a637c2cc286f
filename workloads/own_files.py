"""A user's own file, named as FILE.py:NAME: how it is imported, and how it is told from a later version of itself.

Workloads and optimizers of one's own both come from such files.
"""

from __future__ import annotations

import contextvars
import dataclasses
import hashlib
import os
import re
import sys
import threading
import traceback
from pathlib import Path
from types import ModuleType

# "my.py:mine/name" -> "my.py", "mine/name". The last ".py:" parts them, so that a folder may have a colon in its name.
FORM = re.compile(r"(.+\.py):([^:]+)", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class OwnFile:
    """A version of a file.

    Attributes:
      path: whole, so that any process on this machine finds it.
      sha256: of the content, as hexadecimal digits.
    """

    path: str
    sha256: str

    def where(self, copy: Path | None) -> Path:
        """Where this version lies: at its path, or where that has changed or is gone, a copy that was kept of it.

        Raises:
          ValueError: neither is this version.
        """
        for file in (Path(self.path), copy):
            if file is not None and file.is_file() and sha256(file.read_bytes()) == self.sha256:
                return file
        raise ValueError(
            f"neither {self.path} nor its copy {copy} is the file that the study began with; restore one of them"
        )


_LOCK = threading.RLock()
_MODULES: dict[OwnFile, tuple[ModuleType, bytes]] = {}
_IMPORTING: contextvars.ContextVar[ModuleType | None] = contextvars.ContextVar("importing", default=None)


def is_file_form(name: str) -> bool:
    """Whether a name is FILE.py:NAME."""
    return FORM.fullmatch(name) is not None


def parts(name: str) -> tuple[Path, str]:
    """File and name of FILE.py:NAME.

    Example:
      >>> parts("mine/spirals.py:mine/spirals")
      (PosixPath('mine/spirals.py'), 'mine/spirals')
    """
    found = FORM.fullmatch(name)
    if found is None:
        raise ValueError(f"{name!r} is not of the form FILE.py:NAME")
    return Path(found[1]).expanduser(), found[2]


def absolute(name: str) -> str:
    """A name as other processes can be given it: FILE.py:NAME with the whole path, any other as it is."""
    if not is_file_form(name):
        return name
    file, inside = parts(name)
    return f"{os.path.realpath(file)}:{inside}"  # not resolve(), which raises at a link to itself


def sha256(content: bytes) -> str:
    """Of a file's content, as hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def module(file: Path) -> ModuleType:
    """The file as a module; imported once in a process, and again when it has changed.

    Raises:
      ValueError: it cannot be imported; the message has the line of the file.
    """
    return version(file)[1]


def version(file: Path) -> tuple[OwnFile, ModuleType]:
    """The file as it is now, and as a module."""
    content = file.read_bytes()
    own = OwnFile(str(file.resolve()), sha256(content))
    with _LOCK:
        if own not in _MODULES:
            _MODULES[own] = _imported(own, content), content
        return own, _MODULES[own][0]


def content(own: OwnFile) -> bytes:
    """Of a version that this process has imported, whatever has become of the file."""
    return _MODULES[own][1]


def importing() -> ModuleType | None:
    """What `module` is importing at the moment, for those that it calls meanwhile."""
    return _IMPORTING.get()


def _imported(own: OwnFile, content: bytes) -> ModuleType:
    file = Path(own.path)
    # A name of its own, so that two files of one name do not meet.
    made = ModuleType(f"_own_{sha256(f'{own.path} {own.sha256}'.encode())[:12]}_{file.stem}")
    made.__file__ = own.path
    sys.modules[made.__name__] = made
    token = _IMPORTING.set(made)
    try:
        # Not by importlib: what it compiled before it keeps beside the file, and takes it for this version if the time
        # and the size agree.
        exec(compile(content, own.path, "exec", dont_inherit=True), made.__dict__)
    except (Exception, SystemExit) as error:  # whatever it raises is the user's to mend
        del sys.modules[made.__name__]
        raise ValueError(blame(error, file)) from error
    finally:
        _IMPORTING.reset(token)
    return made


def blame(error: BaseException, file: Path) -> str:
    """One line on an error that a user's file caused: its own line, and what went wrong there.

    Args:
      error: as it was caught.
      file: whose line is to be named.
    """
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if _same(frame.filename, file)
    ]
    if isinstance(error, SyntaxError) and error.filename is not None and _same(error.filename, file):
        lines, said = [error.lineno], error.msg
    else:
        said = " ".join(str(error).split())
    where = f"{file}, line {lines[-1]}" if lines else str(file)
    kind = "" if type(error) is ValueError else f"{type(error).__name__}: "
    return f"{where}: {kind}{said}".rstrip(": ")


def _same(name: str, file: Path) -> bool:
    return Path(name) == file or Path(name).resolve() == file.resolve()
