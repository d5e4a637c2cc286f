"""Criteo's terabyte of click logs, in the files that AlgoPerf's set-up makes of it.

A day of the log is cut into shards `day_<day>_<number>` of five million lines, the last of a day shorter. A line is an
answer, 13 whole numbers and 26 categories of eight hexadecimal digits, between tabs; what is not known is left out.
Days 0 to 22 are trained on. Of day 23 the first 19 shards are the test split, and the other 17 the validation split.
"""

from __future__ import annotations

import bisect
import dataclasses
import itertools
import pathlib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt64

from workloads.data import ahead, reading

if TYPE_CHECKING:
    import pyarrow as pa

LINES = 5_000_000  # of a shard that is not its day's last
DAYS = (
    195_841_983, 199_563_535, 196_792_019, 181_115_208, 152_115_810, 172_548_507, 204_846_845, 200_801_003,
    193_772_492, 198_424_372, 185_778_055, 153_588_700, 169_003_364, 194_216_520, 194_081_279, 187_154_596,
    177_984_934, 163_382_602, 142_061_091, 156_534_237, 193_627_464, 192_215_183, 189_747_893, 178_274_637,
)  # fmt: skip
"""Lines of every day."""
TEST_SHARDS, LAST_DAY_SHARDS = 19, 36
NUMBERS = 13
# How many values every column's categories are hashed to.
CATEGORIES = (
    39884406, 39043, 17289, 7420, 20263, 3, 7120, 1543, 63, 38532951, 2953546, 403346, 10, 2208, 11938, 155, 4, 976, 14,
    39979771, 25641295, 39664984, 585935, 12972, 108, 36,
)  # fmt: skip
UNKNOWN = b"00000000"  # a category that is left out
BLOCK = 2**23  # bytes that are parsed at a time
BLOCKS_AHEAD = 16  # parsed while the model trains: two of AlgoPerf's batches

_NAME = re.compile(r"day_(\d{1,2})_(\d\d)")
_SHORTEST = 1 + NUMBERS + len(CATEGORIES)  # bytes of a line with nothing but tabs and its end

Rows = tuple[Float[np.ndarray, "row column"], Float[np.ndarray, " row"]]


@dataclasses.dataclass(frozen=True)
class Shard:
    """A file of the log.

    Attributes:
      path: where it lies.
      rows: its lines.
    """

    path: pathlib.Path
    rows: int


class Kept(NamedTuple):
    """Which rows of shards laid end to end are parsed: of every `period` those from `begin` to `end`, excluded."""

    period: int
    begin: int
    end: int

    def within(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """The stretches of them from row `first` to `last`, excluded."""
        for start in range(first - first % self.period, last, self.period):
            begin, end = max(start + self.begin, first), min(start + self.end, last)
            if begin < end:
                yield begin, end


EVERY = Kept(1, 0, 1)


class Piece(NamedTuple):
    """Lines `first` to `last` of a shard, the latter excluded.

    Attributes:
      start: number of the shard's first row, of shards laid end to end.
      kept: which rows are parsed.
    """

    shard: Shard
    first: int
    last: int
    start: int = 0
    kept: Kept = EVERY


def shards(data_dir: pathlib.Path) -> dict[str, list[Shard]]:
    """Split -> its shards, in order of day and number.

    No line is read of a shard that is as large as one of AlgoPerf's must be: how many lines these have is known, and
    a reader that comes to the end of one checks it. The lines of smaller files are counted.

    Raises:
      FileNotFoundError: a shard is missing.
      ValueError: in the place of one is something else than a file.
    """
    found: dict[int, dict[int, pathlib.Path]] = {day: {} for day in range(len(DAYS))}
    for path in reading.matching(data_dir, "day_*"):
        match = _NAME.fullmatch(path.name)
        if match and int(match[1]) in found:
            found[int(match[1])][int(match[2])] = path
    *training, last = [_day(data_dir, day, paths) for day, paths in found.items()]
    if len(last) < LAST_DAY_SHARDS:
        raise FileNotFoundError(_missing(data_dir, len(DAYS) - 1, len(last)))
    return {
        "train": list(itertools.chain(*training)),
        "validation": last[TEST_SHARDS:LAST_DAY_SHARDS],
        "test": last[:TEST_SHARDS],
    }


def _day(data_dir: pathlib.Path, day: int, paths: dict[int, pathlib.Path]) -> list[Shard]:
    whole, full = [], False
    for number in range(max(paths, default=0) + 1):
        if number not in paths:
            raise FileNotFoundError(_missing(data_dir, day, number))
        size = reading.check_file(paths[number]).st_size
        rows = min(LINES, DAYS[day] - number * LINES)
        if rows > 0 and size >= _SHORTEST * rows:
            full = True
        else:
            rows = _count(paths[number])
        whole.append(Shard(paths[number], rows))
    if full and len(whole) < -(-DAYS[day] // LINES):
        raise FileNotFoundError(_missing(data_dir, day, len(whole)))
    return whole


def _missing(data_dir: pathlib.Path, day: int, number: int) -> str:
    path = data_dir / f"day_{day}_{number:02}"
    return f"{path} is missing; AlgoPerf's dataset_setup makes day_<0 to 23>_<00, ...> of Criteo's click logs"


def _count(path: pathlib.Path) -> int:
    lines, end = 0, b"\n"
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            lines, end = lines + block.count(b"\n"), block[-1:]
    return lines + (end != b"\n")


def pieces(shards: Sequence[Shard], first: int, last: int, kept: Kept = EVERY) -> Iterator[Piece]:
    """Rows `first` to `last`, the latter excluded, of shards laid end to end, as far as they are kept."""
    ends = list(itertools.accumulate(shard.rows for shard in shards))
    for number in range(bisect.bisect_right(ends, first), len(shards)):
        start = ends[number] - shards[number].rows
        if start >= last:
            return
        yield Piece(
            shards[number], max(first - start, 0), min(last - start, shards[number].rows), start, kept
        )


def batches(pieces: Iterable[Piece], size: int) -> Iterator[Rows]:
    """Batches of so many rows as the model takes them, see `parse`; the last may be smaller.

    Files are read, parsed and put together by threads while nobody asks.
    """
    blocks = itertools.chain.from_iterable(map(_blocks, pieces))
    return ahead.prefetched(_joined(ahead.mapped(_parsed, blocks, BLOCKS_AHEAD), size), 2)


class _Block(NamedTuple):
    """Lines of a file from number `first` on."""

    path: pathlib.Path
    first: int
    text: bytes


def _blocks(piece: Piece) -> Iterator[_Block]:
    """Lines of a piece, some megabytes at a time. Those before its first are read, but not parsed.

    Raises:
      ValueError: the file has not as many lines as it should.
    """
    path, line, rest = piece.shard.path, 0, b""
    with path.open("rb") as file:
        while line < piece.last:
            more = file.read(BLOCK)
            text = rest + more
            end = (
                text.rfind(b"\n") + 1 if more else len(text)
            )  # what the file ends with is a line with or without
            text, rest = text[:end], text[end:]
            if not (more or text):
                raise ValueError(f"{path}: has {line} lines; {piece.shard.rows} were expected")
            lines = text.count(b"\n") + (not text.endswith(b"\n") if text else 0)
            first, line = line, line + lines
            begin, stop = max(piece.first - first, 0), min(piece.last - first, lines)
            if begin < stop:
                of_all = first + piece.start
                for row, end in _stretches(piece.kept, of_all + begin, of_all + stop):
                    yield _Block(path, row - piece.start, _lines(text, row - of_all, end - of_all, lines))
        if piece.last == piece.shard.rows and (line > piece.last or rest or file.read(1)):
            raise ValueError(f"{path}: has more than the {piece.shard.rows} lines that were expected")


def _stretches(kept: Kept, first: int, last: int) -> Iterator[tuple[int, int]]:
    return iter([(first, last)]) if kept == EVERY else kept.within(first, last)


def _lines(text: bytes, begin: int, stop: int, lines: int) -> bytes:
    """Lines `begin` to `stop` of a text of so many."""
    if (begin, stop) == (0, lines):
        return text
    ends = np.flatnonzero(np.frombuffer(text, np.uint8) == ord("\n")) + 1
    return text[ends[begin - 1] if begin else 0 : ends[stop - 1] if stop < lines else None]


def _parsed(block: _Block) -> Rows:
    import pyarrow as pa

    empty = (b"\n" + block.text).find(b"\n\n")  # which Arrow would take for one of which nothing is known
    if empty >= 0:
        line = block.first + block.text.count(b"\n", 0, empty) + 1
        raise ValueError(f"{block.path}: line {line}: an empty line")
    try:
        return parse(block.text)
    except pa.ArrowInvalid as error:
        # Such as "CSV parse error: Row #3: Expected 40 columns, got 2: 1\t2".
        said = str(error).splitlines()[0]
        row = re.search(r"Row #(\d+): ", said)
        line, reason = (int(row[1]), said[row.end() :]) if row else (1, said)
        raise ValueError(f"{block.path}: line {block.first + line}: {reason}") from None


def parse(text: bytes) -> Rows:
    """(inputs [row, 13 numbers and 26 categories], answers [row]) of lines.

    Of a number, log(1 + x), where negative and unknown ones count as 0. A category is the FarmHash fingerprint of its
    text and the number of its column, modulo what the column has room for.

    Raises:
      pyarrow.ArrowInvalid: a line has not 40 columns, or something else than a number or a category in one.
    """
    import pyarrow as pa
    from pyarrow import csv

    types = [pa.float32()] * (1 + NUMBERS) + [pa.binary(len(UNKNOWN))] * len(CATEGORIES)
    named = {str(column): kind for column, kind in enumerate(types)}
    table = csv.read_csv(
        pa.py_buffer(text),
        csv.ReadOptions(column_names=list(named), use_threads=False, block_size=len(text) + 1),
        csv.ParseOptions(delimiter="\t", quote_char=False, ignore_empty_lines=False),
        csv.ConvertOptions(column_types=named, null_values=["", "-1"], strings_can_be_null=True),
    )
    columns = [column.combine_chunks() for column in table.columns]
    inputs = np.empty((len(table), NUMBERS + len(CATEGORIES)), np.float32)
    for column, values in enumerate(columns[1 : 1 + NUMBERS]):
        inputs[:, column] = np.log(np.maximum(_numbers(values), 0) + np.float32(1))
    for column, (values, size) in enumerate(zip(columns[1 + NUMBERS :], CATEGORIES, strict=True)):
        inputs[:, NUMBERS + column] = buckets(_texts(values), column, size)
    return inputs, _numbers(columns[0])


def _numbers(values: pa.Array) -> Float[np.ndarray, " row"]:
    return values.fill_null(0.0).to_numpy()


def _texts(values: pa.Array) -> UInt64[np.ndarray, " row"]:
    """Eight bytes each."""
    values = values.fill_null(UNKNOWN)
    return np.frombuffer(values.buffers()[1], "<u8", len(values), 8 * values.offset)


def buckets(texts: UInt64[np.ndarray, " row"], column: int, size: int) -> Int[np.ndarray, " row"]:
    """FarmHash's Fingerprint64 of eight bytes with the digits of the column's number behind them, modulo a size.

    TensorFlow's `to_hash_bucket_fast`; of texts of 8 to 16 bytes, arithmetic on the first and the last eight.
    """
    digits = str(column).encode()
    shift, behind = 8 * len(digits), int.from_bytes(digits, "little")
    last = (texts >> np.uint64(shift)) | np.uint64(behind << (64 - shift))
    constant = 0x9AE16A3B2F90404F
    factor = np.uint64(constant + 2 * (8 + len(digits)))
    first = texts + np.uint64(constant)
    left = _turned(last, 37) * factor + first
    right = (_turned(first, 25) + last) * factor
    mixed = _mixed((left ^ right) * factor)
    found = _mixed((right ^ mixed) * factor) * factor
    # NumPy divides by one number far faster than it takes remainders.
    return found - found // np.uint64(size) * np.uint64(size)


def _turned(values: np.ndarray, bits: int) -> np.ndarray:
    return (values >> np.uint64(bits)) | (values << np.uint64(64 - bits))


def _mixed(values: np.ndarray) -> np.ndarray:
    return values ^ (values >> np.uint64(47))


def _joined(parts: Iterable[Rows], size: int) -> Iterator[Rows]:
    """Parts of any size as batches of one."""
    inputs, answers, filled = np.empty((0, 0)), np.empty(0), 0
    for part_inputs, part_answers in parts:
        taken = 0
        while taken < len(part_answers):
            if not filled:
                inputs = np.empty((size, part_inputs.shape[1]), np.float32)
                answers = np.empty(size, np.float32)
            some = min(size - filled, len(part_answers) - taken)
            inputs[filled : filled + some] = part_inputs[taken : taken + some]
            answers[filled : filled + some] = part_answers[taken : taken + some]
            filled, taken = (filled + some) % size, taken + some
            if not filled:
                yield inputs, answers
    if filled:
        yield inputs[:filled], answers[:filled]
