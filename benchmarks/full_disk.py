"""Every command that writes, on a disk that is full, nearly full or read-only: counted by what became of it.

    sudo python -m benchmarks.full_disk

Makes a small file system in memory for it, so that it must be allowed to mount one. Expected of every case: one line
and exit status 2, no temporary file left behind, what was there is as it was; and when there is room again, the same
command does what it was asked.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import _malformed_cases, _malformed_kinds
from benchmarks._malformed_cases import Answer

DISK = 64  # MiB
LEFT = {"full": 0, "4 KiB left": 4, "20 KiB left": 20, "100 KiB left": 100}
COMMANDS = {
    "tune": "tune digits/conv --study {disk}/study --budget 2 --steps 2 --eval-period 1",
    "tune, processes": "tune digits/conv --study {disk}/study --budget 2 --steps 2 --executor processes",
    "set-targets": "set-targets clicks/mlp --reference nadamw --points 1 --seeds 1 --out {disk}/targets.json",
    "demo": "demo --out {disk}/demo --candidates 2 --repeats 1 --size 1",
    "build-list": "build-list {input}/study --size 1 --out {disk}/list.json",
    "curves list": "curves list {input}/curves.parquet --size 2 --out {disk}/list.json",
    "curves convert, table": "curves convert {input}/curves.parquet --out {disk}/table.parquet",
    "curves convert, folder": "curves convert {input}/curves.parquet --out {disk}/released",
    "report, study": "report {input}/study --out {disk}/report",
    "report, fractions": "report {input}/fractions.csv --out {disk}/report",
    "curves report": "curves report {input}/curves.parquet --size 2 --resamplings 2 --out {disk}/report",
    "package": "package --list medapati2025 --authors A --out {disk}/mine",
    "package --built-in all": "package --built-in all --out {disk}/all",
}  # fmt: skip
SLOW = ("demo",)
LITTER = ("*.tmp", "*.old", "*.building", "unfinished-*")


@contextlib.contextmanager
def small_disk(megabytes: float = DISK) -> Iterator[Path]:
    """A file system of its own.

    Raises:
      PermissionError: this process may not mount one.
    """
    with tempfile.TemporaryDirectory() as base:
        disk = Path(base) / "disk"
        disk.mkdir()
        mounted = _mount("-t", "tmpfs", "-o", f"size={int(megabytes * 1024)}k", "tmpfs", str(disk))
        if mounted:
            raise PermissionError(f"no file system can be mounted here: {mounted}")
        try:
            yield disk
        finally:
            subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(disk: Path, left: int) -> Path:
    """Fills a disk up to so many KiB; removing the file that it returns makes room again."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    with filler.open("r+b") as file:
        file.truncate(max(filler.stat().st_size - left * 1024, 0))
    return filler


def read_only(disk: Path, on: bool) -> None:
    """Lets nothing be written to a disk, or again everything."""
    _mount("-o", "remount,ro" if on else "remount,rw", str(disk))


def of_command(command: str, inputs: Path, states: list[str]) -> Iterator[tuple[str, Answer]]:
    """What becomes of a command on each state of the disk, and on the same disk with room again."""
    for state in states:
        with small_disk() as disk:
            (disk / "kept").write_text("somebody else's")
            line = command.format(disk=disk, input=inputs)
            filler = None
            if state == "read-only":
                read_only(disk, True)
            else:
                filler = fill(disk, LEFT[state])
            before = _content(disk)
            answer = _malformed_cases.answer_of(line, inputs, seconds=120)
            litter = [str(path) for pattern in LITTER for path in disk.rglob(pattern)]
            if litter:
                answer = Answer("litter", litter[0])
            elif answer.outcome == "one line" and not before.items() <= _content(disk).items():
                answer = Answer("lost", "what was there has changed")
            elif answer.outcome == "one line" and str(disk) not in answer.said:
                answer = Answer("no path", answer.said)
            yield state, answer
            read_only(disk, False)
            if filler is not None:
                filler.unlink()
            if answer.outcome != "taken":
                again = _malformed_cases.answer_of(line, inputs, seconds=600)
                yield f"{state}, then room again", again


def main() -> int:
    """Runs the cases and prints what became of them; exit status 1 where one was not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--command", action="append", choices=COMMANDS, help="only these")
    parser.add_argument("--state", action="append", choices=[*LEFT, "read-only"], help="only these")
    asked = parser.parse_args()
    began, wrong, count = time.monotonic(), 0, 0
    with tempfile.TemporaryDirectory() as base:
        inputs = make_inputs(Path(base))
        for name in asked.command or COMMANDS:
            for state, answer in of_command(COMMANDS[name], inputs, asked.state or [*LEFT, "read-only"]):
                fine = answer.outcome == "taken" or (answer.outcome == "one line" and "again" not in state)
                wrong, count = wrong + (not fine), count + 1
                print(
                    f"{'' if fine else 'WRONG '}{name}: {state}: {answer.outcome}: {answer.said}", flush=True
                )
    print(f"{count} cases, {wrong} of them wrong; {time.monotonic() - began:.0f} s")
    return int(wrong > 0)


def make_inputs(folder: Path) -> Path:
    """What the commands read, all in one folder."""
    for kind in _malformed_kinds.KINDS:
        if kind.name in ("fractions, CSV", "study.json", "curve table"):
            kind.make(folder)
    return folder


def _content(disk: Path) -> dict[str, str]:
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in disk.rglob("*")
        if path.is_file() and path.name != "filler"
    }


def _mount(*arguments: str) -> str:
    """What mount says against it; empty: nothing."""
    try:
        done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        return str(error)
    return done.stderr.strip() if done.returncode else ""


if __name__ == "__main__":
    sys.exit(main())
