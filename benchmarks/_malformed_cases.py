"""What becomes of a command or a reader that is given a spoilt file: one line, a traceback, no answer, or taken.

What is taken is judged: by the answer to the valid file, by what the answer says of the damage, and by whether the file
is a legal one still. The rest is garbage.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import re
import shlex
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import typer.main

from benchmarks import _damage, _malformed_kinds
from benchmarks._answers import Made, made_by_command, made_by_reader
from benchmarks._damage import Damage
from benchmarks._malformed_kinds import Kind
from benchmarks._malformed_rules import legal_still

COMMAND = object()  # stands for what a command printed
PROGRESS = re.compile(r".+: \d+/\d+, [\d.]+")
ROOT = Path(__file__).resolve().parent.parent
# What may become of a case: refused, or taken for a reason.
RIGHT = ("one line", "same", "named", "legal")
WRONG = ("garbage", "many lines", "traceback", "hang", "litter")


class Case(NamedTuple):
    """A spoilt file and who reads it."""

    kind: str
    damage: str
    reader: str  # a command line, or "module:function"

    def __str__(self) -> str:
        return f"{self.kind}: {self.damage}: {self.reader.split(' --')[0].split(' {')[0]}"


class Answer(NamedTuple):
    """What became of it.

    `outcome` is one of these; `said` is the line, the reason, where the traceback ends, or what was told
    beside the result of a right that is missing.

    one line    refused, exit status 2
    same        taken, and answered to the last digit as the valid file is
    named       taken, the damaged part left out or passed over, which the answer says
    legal       taken, and the file is a legal one still, by rules that stand beside its kind
    garbage     taken, and none of these
    many lines  refused, but not in one line
    traceback   of ours
    hang        no answer in time
    litter      a temporary file is left
    """

    outcome: str
    said: str
    made: Made | None = None  # where it is taken


class Hang(BaseException):
    """The time is over."""


def cases(
    seed: int, most: int | None, kinds: list[str] | None = None, part: tuple[int, int] = (0, 1)
) -> Iterator[tuple[Case, Answer]]:
    """Spoils files and has them read, one after another.

    Args:
      seed: of what is random in the damages, and of the choice among them.
      most: damages per kind of file; None: all.
      kinds: names of kinds; None: all.
      part: (k, n): of all damages only every n-th, from the k-th on.
    """
    os.environ.pop("SHORTLIST_TRACEBACK", None)
    for kind in _malformed_kinds.KINDS:
        if kinds is None or kind.name in kinds:
            yield from of_kind(kind, seed, most, part=part)


def of_kind(
    kind: Kind,
    seed: int,
    most: int | None,
    readers: int | None = None,
    part: tuple[int, int] = (0, 1),
) -> Iterator[tuple[Case, Answer]]:
    """The cases of one kind of file, the valid file first, which must be taken; by so many of its readers, or all."""
    with tempfile.TemporaryDirectory(prefix="malformed-") as base:
        valid = Path(base) / "valid"
        valid.mkdir()
        kind.make(valid)
        damages = _damage.chosen(kind.damages(np.random.default_rng(seed), valid), seed, most)
        every = [Damage("valid", lambda path: None), *damages[part[0] :: part[1]]]
        sound: dict[str, Made] = {}
        for number, damage in enumerate(every):
            for reader in (*kind.commands, *kind.readers)[:readers]:
                folder = Path(base) / f"case{number}"  # by whose name some readers remember what they read
                shutil.copytree(valid, folder)
                damage.do(folder / kind.file)
                answer = _of_reader(kind, reader, folder)
                if number == 0 and answer.made is not None:
                    sound[reader] = answer.made
                elif answer.made is not None and reader not in sound:
                    answer = Answer(
                        "garbage", "there is no answer to the valid file that it could be compared with"
                    )
                elif answer.made is not None:
                    answer = _judged(kind, damage, reader, answer.made, sound[reader], valid, folder)
                yield Case(kind.name, damage.name, reader), answer
                shutil.rmtree(folder)


def _judged(
    kind: Kind, damage: Damage, reader: str, made: Made, sound: Made, valid: Path, folder: Path
) -> Answer:
    if made == sound:
        return Answer("same", "")
    if new := made.left_out - sound.left_out:
        return Answer("named", "; ".join(sorted(new)))
    if made.content == sound.content:  # and what it warns of is the damage
        return Answer("named", "; ".join(sorted(made.warnings ^ sound.warnings)))
    if damage.legal is None:
        why = legal_still(kind.name, valid / kind.file, folder / kind.file)
    else:
        why = damage.legal.get(reader.split()[0], "")
    return Answer("legal", why) if why else Answer("garbage", made.differs(sound))


def answer_of(line: str, folder: Path, seconds: float) -> Answer:
    """What becomes of a command line, run in this process."""
    return _answer(lambda: _command(line), folder, None, seconds)


def _of_reader(kind: Kind, reader: str, folder: Path) -> Answer:
    given = folder / kind.file
    if reader in kind.readers:
        answer = _answer(lambda: _read(kind, reader, folder), folder, given, kind.seconds)
    else:
        line = reader.format(dir=folder, file=given, out=folder / "made")
        answer = _answer(lambda: _command(line), folder, given, kind.seconds)
    return answer


def _answer(do: Callable[[], Any], folder: Path, given: Path | None, seconds: float) -> Answer:
    try:
        return _answer_in_time(do, folder, given, seconds)
    except Hang as late:  # it came while the answer was put in words
        return Answer("hang", _place(late))


def _answer_in_time(do: Callable[[], Any], folder: Path, given: Path | None, seconds: float) -> Answer:
    with _within(seconds), _quiet() as (out, err), _cache(folder):
        try:
            value = do()
        except Hang:
            return Answer("hang", _place(sys.exc_info()[1]))
        except SystemExit as end:
            return _of_status(end.code, out.getvalue(), err.getvalue())
        except BaseException as error:  # what else a person would see as a traceback
            return Answer("traceback", _place(error))
    if litter := [str(path.relative_to(folder)) for path in folder.rglob("*.tmp")]:
        return Answer("litter", litter[0])
    if given is None:
        return Answer("taken", _told_beside(out.getvalue()))
    if value is COMMAND:
        return Answer("taken", "", made_by_command(out.getvalue(), err.getvalue(), folder, given))
    return Answer("taken", "", made_by_reader(value, folder, given))


def _told_beside(shown: str) -> str:
    return next((line.strip()[:200] for line in shown.splitlines() if "ermission denied" in line), "")


def _read(kind: Kind, reader: str, folder: Path) -> object:
    from shortlist import _errors

    try:
        return _malformed_kinds.function(reader)(*kind.readers[reader](folder))
    except (ValueError, OSError) as error:
        _errors.say(_errors.told(error) or "")
        raise SystemExit(2) from None


def _command(line: str) -> object:
    from shortlist import cli

    sys.argv = ["shortlist", *shlex.split(line)]
    try:
        # Typer makes its commands anew for every call, which takes longer than most of what they do.
        with mock.patch("typer.main.get_command", _commands_of):
            cli.main()
    except SystemExit as end:
        if end.code:
            raise
    return COMMAND


_commands_of = functools.cache(typer.main.get_command)


def _of_status(status: object, out: str, err: str) -> Answer:
    lines = [line for line in err.splitlines() if line.strip() and not PROGRESS.match(line)]
    if "Traceback (most recent call last)" in err:
        inside = [
            line.strip() for line in lines if line.startswith('  File "') and "/benchmarks/" not in line
        ]
        return Answer("traceback", f"{inside[-1]}: {lines[-2]}")
    if status != 2 or out.strip():
        return Answer("many lines", f"exit status {status}: {err[-300:]!r} {out[-100:]!r}")
    one = len(lines) == 1 and lines[0].startswith("shortlist: ") and len(lines[0]) < 1200
    return Answer("one line" if one else "many lines", err[:500] if not one else lines[0])


def _place(error: BaseException | None) -> str:
    assert error is not None
    frames = traceback.extract_tb(error.__traceback__)
    ours = [
        f
        for f in frames
        if str(ROOT) in f.filename and "/.venv/" not in f.filename and "benchmarks" not in f.filename
    ]
    last = (ours or frames)[-1]
    said = (str(error).splitlines() or [""])[0][:200]
    return f"{Path(last.filename).name}:{last.lineno} {last.name}: {type(error).__name__}: {said}"


@contextlib.contextmanager
def _within(seconds: float) -> Iterator[None]:
    def over(number: int, frame: object) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def _quiet() -> Iterator[tuple[io.StringIO, io.StringIO]]:
    arguments = sys.argv
    with (
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
        warnings.catch_warnings(),
    ):
        try:
            yield out, err
        finally:
            sys.argv = arguments


@contextlib.contextmanager
def _cache(folder: Path) -> Iterator[None]:
    """Decoded pictures of a case are of no use to another."""
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    try:
        yield
    finally:
        if before is None:
            del os.environ["XDG_CACHE_HOME"]
        else:
            os.environ["XDG_CACHE_HOME"] = before
