"""Ways in which a file can be other than it should be: by its kind, all of them or a seeded few.

Every damage is a name and a function of the file's path that spoils it in place.
"""

from __future__ import annotations

import copy
import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

RAW = "raw:"  # a string of JSON data that begins so is written as it stands behind it, without quotes


class Damage(NamedTuple):
    """One way to spoil a file.

    `legal` maps the first word of a reader to why the file is a legal one still for it, and no other reader may take
    it; None: the rules of the kind tell.
    """

    name: str
    do: Callable[[Path], object]
    legal: Mapping[str, str] | None = None


def of_any_file(generator: np.random.Generator, flips: int = 10) -> Iterator[Damage]:
    """What can befall every file: cut short, overwritten, or not a file at all."""

    def rewritten(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
        return lambda path: _write(path, change(path.read_bytes()))

    garbage = generator.bytes(300)
    yield Damage("empty", rewritten(lambda content: b""))
    yield Damage("one byte", rewritten(lambda content: content[:1]))
    yield Damage("cut in the middle", rewritten(lambda content: content[: len(content) // 2]))
    yield Damage("last bytes cut", rewritten(lambda content: content[:-3]))
    yield Damage("garbage", rewritten(lambda content: garbage))
    yield Damage("garbage behind the start", rewritten(lambda content: content[:8] + garbage))
    yield Damage("zeros", rewritten(lambda content: bytes(len(content))))
    for number in range(flips):
        where, bit = generator.random(), int(generator.integers(8))
        yield Damage(f"flipped bit {number}", rewritten(_flipped(where, bit)))
    yield Damage("a folder", lambda path: (path.unlink(), path.mkdir())[0])
    yield Damage("a named pipe", lambda path: (path.unlink(), os.mkfifo(path))[0])
    yield Damage("absent", lambda path: path.unlink())
    for target in ("/dev/zero", "/dev/full", "/dev/null", "nowhere"):
        yield Damage(f"a link to {target}", _linked(target))
    yield Damage("a link to itself", _linked(None))
    yield Damage("a link to a long name", _linked("x" * 300))


def of_text(generator: np.random.Generator) -> Iterator[Damage]:
    """What befalls text."""
    yield from of_any_file(generator, flips=6)
    yield Damage("UTF-8 with a mark", lambda path: _write(path, b"\xef\xbb\xbf" + path.read_bytes()))
    yield Damage("UTF-16", lambda path: _write(path, path.read_text().encode("utf-16")))
    yield Damage("latin-1", lambda path: _write(path, path.read_bytes() + "é".encode("latin-1")))
    yield Damage("null bytes", lambda path: _write(path, path.read_bytes().replace(b"\n", b"\n\0")))


NEST = RAW + "[" * 1000 + "]" * 1000
NESTED_OBJECTS = RAW + '{"a":' * 100_000 + "1" + "}" * 100_000
VALUES: dict[str, Any] = {
    "null": None, "true": True, "0": 0, "-1": -1, "1.5": 1.5, "2**70": 2**70, "an empty text": "", "a text": "x\ny",
    "an empty list": [], "an empty object": {}, "a list": [[1, "a"]], "an object": {"a": {"b": None}},
    "1e999": RAW + "1e999", "-1e999": RAW + "-1e999", "NaN": RAW + "NaN", "Infinity": RAW + "Infinity",
    "10**400": RAW + "1" + "0" * 400, "5,000 digits": RAW + "1" * 5000, "1,000 deep": NEST,
    "half a surrogate": RAW + '"\\ud800"',
}  # fmt: skip


def of_json(generator: np.random.Generator, content: Any) -> Iterator[Damage]:
    """What befalls JSON: every value of another type, every key missing or misspelt, and text of another encoding."""
    yield from of_text(generator)
    for name, value in VALUES.items():
        yield Damage(f"$ is {name}", _json(value))
    yield Damage("100,000 objects deep", _json(NESTED_OBJECTS))
    for place in _places(content):
        at = "$" + "".join(f"[{key!r}]" for key in place)
        for name, value in VALUES.items():
            yield Damage(f"{at} is {name}", _json(_changed(content, place, value)))
        if isinstance(place[-1], str):
            yield Damage(f"{at} is missing", _json(_changed(content, place, missing=True)))
            yield Damage(f"{at} is misspelt", _json(_changed(content, place, misspelt=True)))


def of_parquet(generator: np.random.Generator, table: pl.DataFrame) -> Iterator[Damage]:
    """What befalls a table: every column missing, of another type, null or under another name."""
    yield from of_any_file(generator)

    def written(change: Callable[[pl.DataFrame], pl.DataFrame]) -> Callable[[Path], None]:
        changed = change(table)
        return lambda path: changed.write_parquet(path)

    yield Damage("no rows", written(lambda t: t.head(0)))
    yield Damage("no columns", written(lambda t: pl.DataFrame()))
    yield Damage("one more column", written(lambda t: t.with_columns(pl.lit(1).alias("more"))))
    yield Damage("every row twice", written(lambda t: pl.concat([t, t])))
    others: dict[str, pl.Expr] = {
        "text": pl.lit("x"), "a number": pl.lit(-1.5), "an integer": pl.lit(-(2**40)), "true": pl.lit(True),
        "NaN": pl.lit(float("nan")), "a list": pl.lit([1.0]).implode(), "a struct": pl.struct(a=pl.lit(1)),
        "binary": pl.lit(b"\xff"), "a date": pl.lit("2020-01-01").str.to_date(), "null": pl.lit(None),
        "an empty list": pl.lit(pl.Series([[]], dtype=pl.List(pl.Float64)).first(), pl.List(pl.Float64)),
    }  # fmt: skip
    for name in table.columns:
        for kind, other in others.items():
            yield Damage(f"{name} is {kind}", written(lambda t, n=name, o=other: t.with_columns(o.alias(n))))
        null = pl.lit(None, table.schema[name]).alias(name)
        yield Damage(f"{name} has nulls", written(lambda t, null=null: t.with_columns(null)))
        yield Damage(f"{name} is missing", written(lambda t, n=name: t.drop(n)))
        yield Damage(f"{name} is misspelt", written(lambda t, n=name: t.rename({n: f"{n}x"})))


def of_npz(generator: np.random.Generator, arrays: dict[str, np.ndarray]) -> Iterator[Damage]:
    """What befalls arrays: other types, shapes and sizes, pickled objects, and headers that promise too much."""
    yield from of_any_file(generator, flips=30)

    def saved(changed: dict[str, np.ndarray]) -> Callable[[Path], None]:
        return lambda path: np.savez(path, allow_pickle=True, **changed)  # type: ignore[arg-type]

    others = {
        "int8": np.int8, "float16": np.float16, "float64": np.float64, "bool": np.bool_, "complex": np.complex64,
        "text": np.str_, "bytes": np.bytes_, "objects": np.object_,
    }  # fmt: skip
    yield Damage("one more key", saved(arrays | {"more": np.zeros(1)}))
    yield Damage("no keys", saved({}))
    for name, array in arrays.items():
        yield Damage(f"{name} is missing", saved({k: v for k, v in arrays.items() if k != name}))
        yield Damage(
            f"{name} is misspelt", saved({k if k != name else f"{k}x": v for k, v in arrays.items()})
        )
        for kind, dtype in others.items():
            if array.dtype.kind in "SU" and dtype not in (np.str_, np.bytes_, np.object_):
                array = np.zeros(array.shape)
            with np.errstate(all="ignore"):
                yield Damage(f"{name} is {kind}", saved(arrays | {name: array.astype(dtype)}))
        for kind, changed in {
            "a scalar": array.reshape(-1)[0], "flat": array.reshape(-1), "deeper": array[None], "empty": array[:0],
            "longer": np.concatenate([array, array]), "dates": np.zeros(3, "datetime64[s]"),
            "records": np.zeros(3, [("a", "i4")]),
        }.items():  # fmt: skip
            yield Damage(f"{name} is {kind}", saved(arrays | {name: np.asarray(changed)}))
        if array.dtype.kind == "f":
            for kind, value in {"NaN": np.nan, "inf": np.inf, "huge": 1e38, "negative": -5.0}.items():
                yield Damage(f"{name} is all {kind}", saved(arrays | {name: np.full_like(array, value)}))
        yield Damage(f"{name} promises 2**60 numbers", lambda path, n=name: _promising(path, n))
        yield Damage(f"{name} is no array", lambda path, n=name: _entry(path, n, b"not an array"))


def chosen(damages: Iterator[Damage], seed: int, most: int | None) -> list[Damage]:
    """All of them, or so many that a seed chooses."""
    every = list(damages)
    if most is None or most >= len(every):
        return every
    picked = np.random.default_rng(seed).choice(len(every), most, replace=False)
    return [every[i] for i in sorted(picked)]


def json_bytes(content: Any) -> bytes:
    """JSON in which strings that begin with `RAW` stand as they are."""
    raw: list[str] = []

    def mark(value: Any) -> Any:
        if isinstance(value, str) and value.startswith(RAW):
            raw.append(value[len(RAW) :])
            return f"\0{len(raw) - 1}\0"
        if isinstance(value, dict):
            return {key: mark(inner) for key, inner in value.items()}
        return [mark(inner) for inner in value] if isinstance(value, list) else value

    text = json.dumps(mark(content))
    for number, literal in enumerate(raw):
        text = text.replace(f'"\\u0000{number}\\u0000"', literal)
    return text.encode()


def _json(content: Any) -> Callable[[Path], None]:
    return lambda path: _write(path, json_bytes(content))


def _places(content: Any, most: int = 2) -> Iterator[tuple[Any, ...]]:
    """Where the values of JSON data are; of a list only its first ones."""
    inner = content.items() if isinstance(content, dict) else enumerate(content[:most])
    for key, value in inner:
        yield (key,)
        if isinstance(value, dict | list):
            yield from ((key, *rest) for rest in _places(value, most))


def _changed(content: Any, place: tuple[Any, ...], value: Any = None, missing=False, misspelt=False) -> Any:
    changed = copy.deepcopy(content)
    *outer, last = place
    inner = changed
    for key in outer:
        inner = inner[key]
    if missing or misspelt:
        old = inner.pop(last)
        if misspelt:
            inner[last + last[-1:]] = old
    else:
        inner[last] = value
    return changed


def _flipped(where: float, bit: int) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        changed = bytearray(content)
        if changed:
            changed[int(where * len(changed))] ^= 1 << bit
        return bytes(changed)

    return change


def _linked(target: str | None) -> Callable[[Path], None]:
    def do(path: Path) -> None:
        path.unlink()
        path.symlink_to(path.name if target is None else target)

    return do


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _entry(path: Path, name: str, content: bytes) -> None:
    beside = path.with_name(f"{path.name}.beside")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(beside, "w") as new:
        for item in old.namelist():
            new.writestr(item, content if item == f"{name}.npy" else old.read(item))
    shutil.move(beside, path)


def _promising(path: Path, name: str) -> None:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": "<f4", "fortran_order": False, "shape": (2**20, 2**20, 2**20)}
    )
    _entry(path, name, buffer.getvalue() + bytes(64))
