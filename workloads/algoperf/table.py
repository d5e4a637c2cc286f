"""AlgoPerf's workloads as tables of Markdown, for the docs: `python -m workloads.algoperf.table`.

Counts are those of the models themselves, of which only shapes are traced; no data are read.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import jax

from workloads.algoperf import _build
from workloads.algoperf._base import Base
from workloads.algoperf._names import BASES, FULL
from workloads.benchmarks import BENCHMARKS, benchmark


def markdown() -> str:
    """A table of the full scale and one of the smaller scales."""
    return "\n\n".join((_table(FULL_COLUMNS, full_rows()), _table(SCALE_COLUMNS, scale_rows())))


LONGEST = 30  # characters of a value that are shown

FULL_COLUMNS = ("workload", "differs in", "parameters", "batch", "steps", "metric", "validation target")
SCALE_COLUMNS = ("workload", "parameters", "of variants", "batch", "steps", "evaluated every", "differs in")


def full_rows() -> list[tuple[str, ...]]:
    """A row per base workload and variant: the model, and the targets of every benchmark version that has it."""
    rows = []
    for name in BASES:
        table = _build.base(name)
        for plain in (name, *table.variants):
            facts = benchmark(_build.VERSION).workloads[plain]
            rows.append(
                (
                    f"`{plain}`" + (" (mended)" if plain in table.mended else ""),
                    _changes(table.variants.get(plain, {}).items()) if plain != name else table.summary,
                    f"{_parameters(table, plain, FULL):,}",
                    f"{table.batch_sizes.get(plain, table.batch_size):,}",
                    f"{facts.step_hint:,}",
                    facts.metric + (" ↓" if facts.minimize else " ↑"),
                    _targets(plain),
                )
            )
    return rows


def scale_rows() -> list[tuple[str, ...]]:
    """A row per base workload and smaller scale."""
    rows = []
    for name in BASES:
        table = _build.base(name)
        for called, scale in table.scales.items():
            counts = [_parameters(table, plain, called) for plain in table.variants]
            rows.append(
                (
                    f"`{name}@{called}`",
                    f"{_parameters(table, name, called):,}",
                    f"{min(counts):,} to {max(counts):,}" if counts else "",
                    f"{scale.batch_size:,}",
                    f"{scale.step_hint:,}",
                    f"{scale.eval_period:,}",
                    _changes(scale.options.items()),
                )
            )
    return rows


def _parameters(table: Base, plain: str, scale: str) -> int:
    model = table.model(_build.options_at(table, plain, scale))
    params, _ = jax.eval_shape(model.init, jax.random.key(0))
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))


def _targets(plain: str) -> str:
    """The newest benchmark version's, and those of older ones that differ."""
    rows = {version: benchmark(version).workloads.get(plain) for version in BENCHMARKS}
    found = {version: f"{row.validation_target:g}" for version, row in rows.items() if row is not None}
    newest = found[_build.VERSION]
    others = [f"{version}: {target}" for version, target in found.items() if target != newest]
    return newest + (f" ({', '.join(others)})" if others else "")


def _changes(options: Iterable[tuple[str, object]]) -> str:
    shown = ((name, getattr(value, "__name__", str(value))) for name, value in options)
    return ", ".join(name if len(value) > LONGEST else f"{name} {value}" for name, value in shown)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    print(markdown())
