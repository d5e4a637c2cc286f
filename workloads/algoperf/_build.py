"""AlgoPerf's workloads from their tables: base workloads, variants, scales."""

from __future__ import annotations

import dataclasses
import importlib
import pathlib
from typing import Any

from workloads._source import Source
from workloads._workload import Metric, Workload
from workloads.algoperf._base import Base, Model, Scale
from workloads.algoperf._names import FULL, parse
from workloads.benchmarks import benchmark
from workloads.functions import functions_of

VERSION = "v1.0"  # of AlgoPerf, whose targets and budgets the full scale has


def base(name: str) -> Base:
    """The table of a base workload."""
    return importlib.import_module(f"workloads.algoperf.{name}").BASE


def build(name: str, data_dir: pathlib.Path | None = None) -> Workload:
    """The workload of that name.

    Args:
      name: `algoperf/<workload>` or `algoperf/<workload>@<scale>`.
      data_dir: with the data set, in AlgoPerf's layout, for the full scale. Without, generated data of the same
        shapes stand in. The other scales have data of their own.

    Raises:
      ValueError: the workload has no such scale.
      FileNotFoundError: the data set is not in data_dir.
    """
    of, plain, scale = parse(name)
    table = base(of)
    if scale != FULL and scale not in table.scales:
        known = ", ".join((FULL, *table.scales))
        raise ValueError(f"{name}: no scale {scale!r} of this workload; it has {known}")
    if scale == FULL:
        return _full(name, table, plain, data_dir)
    return _scaled(name, table, plain, table.scales[scale], scale)


def options_at(table: Base, plain: str, scale: str) -> Any:
    """The options of a base workload or variant at a scale."""
    changes = dict(table.variants.get(plain, {}))
    if scale != FULL:
        row = table.scales[scale]
        changes = {**row.options, **changes, **row.variants.get(plain, {})}
    return dataclasses.replace(table.options, **changes)


def _full(name: str, table: Base, plain: str, data_dir: pathlib.Path | None) -> Workload:
    facts = benchmark(VERSION).workloads[plain]
    options = options_at(table, plain, FULL)
    if data_dir is None:
        data = table.stand_in(options)
    elif table.read is None:
        raise ValueError(
            f"{name}: nothing here reads {table.data_set} yet; leave out --data-dir for a stand-in"
        )
    else:
        options = table.beside(options, data_dir) if table.beside else options
        data = table.read(options, data_dir)
    real = data.provenance.kind == "real"
    return _workload(
        name,
        table,
        plain,
        options,
        data,
        batch_size=table.batch_sizes.get(plain, table.batch_size),
        step_hint=facts.step_hint,
        eval_period=max(1, int(facts.step_hint * facts.eval_period_seconds // facts.max_runtime_seconds)),
        eval_examples=facts.eval_train_examples if real else 4 * table.batch_size,
        max_runtime_seconds=facts.max_runtime_seconds,
        eval_period_seconds=facts.eval_period_seconds,
        # AlgoPerf's targets say nothing of made-up data.
        validation_target=facts.validation_target if real else None,
        test_target=facts.test_target if real else None,
    )


def _scaled(name: str, table: Base, plain: str, scale: Scale, called: str) -> Workload:
    options = options_at(table, plain, called)
    return _workload(
        name,
        table,
        plain,
        options,
        scale.data(options),
        note=f", {called}",
        batch_size=scale.batch_size,
        step_hint=scale.step_hint,
        eval_period=scale.eval_period,
        eval_examples=scale.eval_examples,
        validation_target=None,
        test_target=None,
    )


def _workload(name: str, table: Base, plain: str, options, data: Source, note: str = "", **facts) -> Workload:
    model: Model = table.model(options)

    def apply(params, model_state, batch, key, train, dropout_rate):
        return model.model_fn(params, model_state, batch, key, train, train, None, dropout_rate)

    defined = benchmark(VERSION).workloads[plain]
    difference = "" if plain == table.name else f" ({plain.removeprefix(table.name + '_')})"
    splits = set(data.splits)
    return Workload(
        name=name,
        cost_class=table.cost_class,
        summary=f"AlgoPerf's {table.summary}{difference}{note}",
        **functions_of(model.init, apply, table.losses, table.sums)._asdict(),
        data=data,
        metric=Metric(defined.metric, minimize=defined.minimize),
        loss_type=table.loss_type,
        measure=table.measure(options, model, data) if table.measure else None,
        eval_splits={role: role for role in ("train", "validation", "test") if role in splits},
        model_fn=model.model_fn,
        dropout_rate=table.dropout_rate,
        output_layer=table.output_layer,
        **facts,
    )
