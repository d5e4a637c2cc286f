"""The files that commands and readers take: a small valid one of each kind, how it can be spoilt, and who reads it."""

from __future__ import annotations

import dataclasses
import functools
import gzip
import importlib
import io
import json
import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks import _damage
from benchmarks._damage import Damage

POINTS = [{"learning_rate": 0.001 * 2**i, "warmup_fraction": 0.05} for i in range(4)]


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
      name: of the kind.
      file: path in a folder of its own; that file is spoilt.
      make: (folder) -> None; writes what is valid.
      damages: (generator, content of the folder) -> ways to spoil the file.
      commands: command lines; {dir} is the folder, {file} the file, {out} a place that is free.
      readers: "module:function" -> arguments made of the folder, for what no quick command reads.
      seconds: after which a reader hangs; some train.
    """

    name: str
    file: str
    make: Callable[[Path], object]
    damages: Callable[[np.random.Generator, Path], Iterator[Damage]]
    commands: tuple[str, ...] = ()
    readers: Mapping[str, Callable[[Path], tuple[Any, ...]]] = dataclasses.field(default_factory=dict)
    seconds: float = 60.0


def _of_json_in(file: str) -> Callable[[np.random.Generator, Path], Iterator[Damage]]:
    return lambda generator, folder: _damage.of_json(generator, json.loads((folder / file).read_bytes()))


def _of_parquet_in(file: str) -> Callable[[np.random.Generator, Path], Iterator[Damage]]:
    return lambda generator, folder: _damage.of_parquet(generator, pl.read_parquet(folder / file))


def _of_npz_in(file: str) -> Callable[[np.random.Generator, Path], Iterator[Damage]]:
    def damages(generator: np.random.Generator, folder: Path) -> Iterator[Damage]:
        with np.load(folder / file) as arrays:
            yield from _damage.of_npz(generator, dict(arrays))

    return damages


LIST = {
    "format": 1, "name": "mine", "update_rule": "nadamw_optax", "source": "a notebook", "method": "greedy",
    "penalty": 2.0, "workloads": ["digits/conv"], "costs": [1.5, 1.2],
    "points": [{"id": str(i), "hyperparameters": point} for i, point in enumerate(POINTS[:2])],
    "made_by": {"command": "by hand", "seed": 0},
}  # fmt: skip
SPACE = {
    "learning_rate": {"min": 1e-4, "max": 1e-2, "scaling": "log"},
    "warmup_fraction": {"feasible_points": [0.02, 0.1]},
}
TARGETS = {"format": 1, "targets": {"a/b": {"metric": "loss", "validation_target": 0.5, "test_target": 0.6}}}
FACTS = {"workloads": [{"name": "taskset/mlp_family_seed0", "parameters": 100}]}
FRACTIONS = pl.DataFrame(
    {
        "point": ["a", "a", "b", "b"],
        "workload": ["one", "two", "one", "two"],
        "fraction": [0.5, float("inf"), 0.25, 0.75],
    }
)
STUDY_WORKLOADS = ("taskset/mlp_family_seed12", "taskset/mlp_family_seed13")


def _dumped(file: str, content: Any) -> Callable[[Path], object]:
    return lambda folder: (folder / file).write_text(json.dumps(content)) and None


def _study(folder: Path, sealed: bool = True) -> None:
    """A study as `tune` leaves it, of curves from a formula; unsealed, as it left them before it sealed files."""
    from results import studies
    from results.studies import Programs, StudySpec
    from submissions.points import Point

    points = tuple(Point(str(i), point) for i, point in enumerate(POINTS))
    data = "embedded: digits"
    spec = StudySpec(
        name="mine", title="quasi-random search", role="candidates", optimizer="nadamw_optax",
        strategy={"name": "quasirandom", "budget": 4}, points=dict.fromkeys(STUDY_WORKLOADS, points),
        workloads=STUDY_WORKLOADS, cohort_size=4, steps=40, eval_period=10, eval_at_start=True, draws="quasi-random",
        data=dict.fromkeys(STUDY_WORKLOADS, data),
        programs={name: Programs(width=4, side_by_side=1) for name in STUDY_WORKLOADS}, sealed=sealed,
    )  # fmt: skip
    studies.write_spec(folder / "study", spec)
    steps = [0, 10, 20, 30, 40]
    for number, workload in enumerate(STUDY_WORKLOADS):
        rows = []
        for i, point in enumerate(points):
            curve = [2.0 / (1 + (i + number) * step / 40) for step in steps]
            rows.append(
                {
                    "workload": workload, "cohort": 0, "repeat": 0, "point": point.id,
                    "hyperparameters": json.dumps(dict(point.hyperparameters), sort_keys=True), "status": "done",
                    "status_reason": None, "diverged_step": None, "metric": "loss", "minimize": True,
                    "validation_target": 1.0, "test_target": 1.0, "step_hint": 40, "max_runtime_seconds": None,
                    "steps": 40, "global_step": steps, "submission_seconds": None, "cohort_seconds": 1.0,
                    "loop": "population", "seed": 0, "optimizer": "nadamw_optax", "data": data, "device": "cpu",
                    "versions": '{"jax": "0.10.2"}', "command": "shortlist tune",
                    **{f"{role}/loss": curve for role in ("train", "inner_validation", "validation", "test")},
                }
            )  # fmt: skip
        schema = dict(studies.SCHEMA) | {
            f"{role}/loss": pl.List(pl.Float64)
            for role in ("train", "inner_validation", "validation", "test")
        }
        trials = pl.DataFrame(rows, schema=schema)
        studies.write_cohort(
            folder / "study", workload, 0, studies.as_parquet(trials) if sealed else _plain_parquet(trials)
        )
    run = studies.Run(8, 2, 1.0, 2.0, "cpu", {"jax": "0.10.2"}, "shortlist tune")
    studies.write_run(folder / "study", run)


def _plain_parquet(table: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.write_parquet(buffer)
    return buffer.getvalue()


def _archives() -> list[Any]:
    from results.curves import CurveArchive
    from submissions.taskset_grids import grid_names

    steps = np.arange(0, 401, 100)
    names = tuple(grid_names("nadamw_grid", 6))
    archives = []
    for number in range(4):
        rate = np.linspace(0.5, 3 + number, 6)[:, None, None, None]
        ys = 0.2 + np.exp(-rate * steps[:, None] / 400) * np.ones((6, 2, len(steps), 4)) * (1 + 0.01 * number)
        archives.append(
            CurveArchive(
                f"mlp_family_seed{number}", "nadamw_grid", names, np.asarray(steps), ys.astype(np.float32)
            )
        )
    return archives


def _curve_table(folder: Path) -> None:
    from results.curves import archives_to_table, write_table

    write_table(folder / "curves.parquet", archives_to_table(_archives(), "made up"))


def _released(folder: Path) -> None:
    from results.curves import write_archive

    for archive in _archives():
        write_archive(folder / "released", archive)


def _weights(folder: Path) -> None:
    from submissions.learned import weight_files

    weight_files.write(folder / "weights.msgpack", _small_velo())


def _pylo_weights(folder: Path) -> None:
    from submissions.learned import weight_files

    weight_files.write_pylo(folder, _small_velo())


@functools.cache
def _small_velo() -> dict[str, Any]:
    """Weights of VeLO's layout before any training."""
    import jax

    from submissions import LEARNED

    return jax.tree.map(np.asarray, LEARNED["velo"].initial(jax.random.key(0), lstm=2, bank=2))


def _replica_means(folder: Path) -> None:
    archives = _archives()
    ys = np.stack([archive.ys.mean(axis=1) for archive in archives])
    splits = {name: ys[..., k] for k, name in enumerate(("train", "valid_inner", "valid_outer"))}
    np.savez(
        folder / "means.npz",
        task_names=np.array([archive.task for archive in archives]),
        optimizers=np.array(archives[0].optimizers),
        steps=archives[0].xs,
        **splits,  # type: ignore[arg-type]
    )


def _tables_of_logs(folder: Path) -> None:
    trials = pl.DataFrame(
        {
            "trial_id": [0, 1], "leaderboard": ["v0.5", "v0.5"], "submission": ["a", "a"], "study": [0, 0],
            "workload": ["fastmri", "fastmri"], "trial": [1, 2], "framework": ["jax", "jax"],
            "hparams": ['{"learning_rate": 0.1}', '{"learning_rate": 0.2}'], "ruleset": ["external", "external"],
            "meta_validation_target": [0.723653, 0.723653], "step_hint": [36189.0, 36189.0],
            "max_allowed_runtime_sec": [8859.0, 8859.0], "eval_period_sec": [80.0, 80.0], "source_path": ["x", "y"],
        }
    )  # fmt: skip
    evals = pl.DataFrame(
        {
            "trial_id": [0, 0, 1, 1], "eval_index": [0, 1, 0, 1], "global_step": [1, 500, 1, 600],
            "accumulated_submission_time": [1.0, 500.0, 1.0, 600.0], "validation_metric": [0.1, 0.8, 0.1, 0.9],
            "test_metric": [0.1, 0.8, 0.1, 0.9], "train_metric": [0.1, 0.8, 0.1, 0.9],
            "validation_loss": [1.0, 0.2, 1.0, 0.1],
        }
    )  # fmt: skip
    (folder / "tables").mkdir()
    trials.write_parquet(folder / "tables/trials.parquet")
    evals.write_parquet(folder / "tables/evals.parquet")


def _log_tree(folder: Path) -> None:
    header = "accumulated_submission_time,global_step,test/ssim,train/ssim,validation/loss,validation/ssim"
    facts = {
        "workload.step_hint": 36189, "workload.max_allowed_runtime_sec": 8859, "workload.eval_period_time_sec": 80,
        "workload.target_metric_name": "ssim", "workload.validation_target_value": 0.723653,
        "workload.test_target_value": 0.740633,
    }  # fmt: skip
    for study in range(2):
        trial = folder / f"logs/mine/study_{study}/fastmri_jax/trial_1"
        trial.mkdir(parents=True)
        rows = ["1.0,1,0.1,0.1,1.0,0.1", "500.0,500,0.8,0.8,0.2,0.8"]
        (trial / "eval_measurements.csv").write_text("\n".join([header, *rows]) + "\n")
        (trial / "meta_data_0.json").write_text(json.dumps(facts))
        (trial / "hparams.json").write_text(json.dumps({"learning_rate": 0.1}))


def _idx(folder: Path) -> None:
    generator = np.random.default_rng(0)
    (folder / "data/mnist").mkdir(parents=True)
    for prefix, size in (("train", 60), ("t10k", 20)):
        images = generator.integers(0, 256, size * 784, dtype=np.uint8).tobytes()
        labels = generator.integers(0, 10, size, dtype=np.uint8).tobytes()
        for name, header, body in (
            (f"{prefix}-images-idx3-ubyte", struct.pack(">4I", 0x803, size, 28, 28), images),
            (f"{prefix}-labels-idx1-ubyte", struct.pack(">2I", 0x801, size), labels),
        ):
            (folder / "data/mnist" / name).write_bytes(header + body)


def _gzipped_idx(folder: Path) -> None:
    _idx(folder)
    for path in list((folder / "data/mnist").iterdir()):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()


def _of_idx(file: str, labels: bool = False) -> Callable[[np.random.Generator, Path], Iterator[Damage]]:
    def damages(generator: np.random.Generator, folder: Path) -> Iterator[Damage]:
        yield from _damage.of_any_file(generator)
        zipped = file.endswith(".gz")

        def written(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
            def do(path: Path) -> None:
                content = gzip.decompress(path.read_bytes()) if zipped else path.read_bytes()
                path.write_bytes(gzip.compress(change(content)) if zipped else change(content))

            return do

        huge = struct.pack(">I", 2**32 - 1)
        for place in range(4, 8 if labels else 16, 4):
            yield Damage(f"size {place // 4} is huge", written(lambda c, p=place: c[:p] + huge + c[p + 4 :]))
            yield Damage(f"size {place // 4} is 0", written(lambda c, p=place: c[:p] + bytes(4) + c[p + 4 :]))
        if not labels:
            yield Damage(
                "pictures of 1 x 784", written(lambda c: c[:8] + struct.pack(">2I", 1, 784) + c[16:])
            )
        yield Damage("another magic number", written(lambda c: struct.pack(">I", 0x900) + c[4:]))
        if labels:
            yield Damage("a label beyond the classes", written(lambda c: c[:-1] + b"\xff"))
        yield Damage("nothing in it", written(lambda c: c[:4] + bytes(len(c[4 : 8 if labels else 16]))))

    return damages


def _tfds_images(folder: Path) -> None:
    from tests.workloads import tfds_folders

    generator = np.random.default_rng(0)
    examples = [
        {"image": generator.integers(0, 256, (28, 28, 1), dtype=np.uint8), "label": i % 10} for i in range(60)
    ]
    features = {"image": tfds_folders.image(28, 28, 1), "label": tfds_folders.classes(10)}
    tfds_folders.write(folder / "data", "mnist:3.0.1", features, {"train": examples, "test": examples[:6]})


def _tfds_texts(folder: Path) -> None:
    from tests.workloads import tfds_folders

    examples = [{"text": f"text number {i} is good", "label": i % 2} for i in range(12)]
    features = {"text": tfds_folders.text(), "label": tfds_folders.classes(2)}
    splits = {"train": examples, "test": examples[:6]}
    tfds_folders.write(folder / "data", "imdb_reviews/plain_text:1.0.0", features, splits)
    config = folder / "data/imdb_reviews/.config"
    config.mkdir()
    (config / "metadata.json").write_text(json.dumps({"default_config_name": "plain_text"}))


def _of_records(texts: bool) -> Callable[[np.random.Generator, Path], Iterator[Damage]]:
    def damages(generator: np.random.Generator, folder: Path) -> Iterator[Damage]:
        del folder
        from workloads.data import tfrecord

        yield from _damage.of_any_file(generator)

        def first(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Path], None]:
            def do(path: Path) -> None:
                payloads = list(tfrecord.records(path))
                payloads[0] = tfrecord.serialize_example(change(tfrecord.parse_example(payloads[0])))
                path.write_bytes(b"".join(map(tfrecord.frame, payloads)))

            return do

        def long(length: int) -> Callable[[Path], object]:
            header = struct.pack("<Q", length)
            made = header + tfrecord.frame(header)[-4:]  # with the right checksum
            return lambda path: path.write_bytes(made + path.read_bytes()[12:])

        for length in (2**31, 2**40, 2**62, 2**63, 2**64 - 1):
            yield Damage(f"a record of {length} bytes", long(length))
        for value in (-1, 10**6, 2**62, 2):
            yield Damage(f"a label {value}", first(lambda v, n=value: v | {"label": [n]}))
        yield Damage("two labels", first(lambda v: v | {"label": [0, 1]}))
        yield Damage("no label", first(lambda v: {k: x for k, x in v.items() if k != "label"}))
        yield Damage("a label of text", first(lambda v: v | {"label": [b"x"]}))
        yield Damage("a label of NaN", first(lambda v: v | {"label": [float("nan")]}))
        data = "text" if texts else "image"
        for name, value in {
            "garbage": [b"\x89PNG\r\n\x1a\n" + bytes(50)], "numbers": [1, 2], "empty": [b""], "two": [b"a", b"b"],
            "negative numbers": [-1], "huge numbers": [2**40],
        }.items():  # fmt: skip
            yield Damage(f"{data} is {name}", first(lambda v, x=value: v | {data: x}))
        yield Damage("no data", first(lambda v: {k: x for k, x in v.items() if k != data}))

    return damages


OWN_OPTIMIZER = """
import optax
import submissions


@submissions.register("fuzzed", learning_rate=(1e-4, 1e-1, "log"))
def mine(hyperparameters, horizon):
    return optax.sgd(hyperparameters["learning_rate"])
"""


def _own_optimizer(folder: Path) -> None:
    (folder / "mine.py").write_text(OWN_OPTIMIZER)


def _of_own_optimizer(generator: np.random.Generator, folder: Path) -> Iterator[Damage]:
    del folder
    yield from _damage.of_text(generator)

    def inside(name: str, line: str) -> Damage:
        indented = "".join(f"    {part}\n" for part in line.split("\n"))
        return Damage(
            name,
            lambda path: path.write_text(OWN_OPTIMIZER.rpartition("    return")[0] + indented) and None,
            legal={"package": "packed as it is and not called; validate calls it"},
        )

    def first(name: str, line: str) -> Damage:
        return Damage(name, lambda path: path.write_text(line + "\n" + OWN_OPTIMIZER) and None, {})

    def declared(name: str, what: str) -> Damage:
        text = OWN_OPTIMIZER.replace('learning_rate=(1e-4, 1e-1, "log")', what)
        return Damage(name, lambda path: path.write_text(text) and None, {})

    yield first("import: SystemExit", "raise SystemExit(0)")
    yield first("import: sys.exit", "import sys; sys.exit('no')")
    yield first("import: ValueError", "raise ValueError('two\\nlines')")
    yield first("import: KeyError", "{}['x']")
    yield first("import: a module that is not there", "import nowhere_to_be_found")
    yield first("import: a name that is not there", "from optax import nothing")
    yield first("import: syntax", "def (:")
    yield first("import: recursion", "def f(): return f()\nf()")
    yield first("import: assertion", "assert False")
    yield first("import: memory", "raise MemoryError")
    yield inside("call: nothing returned", "pass")
    yield inside("call: a number returned", "return 1")
    yield inside("call: the wrong name", 'return optax.sgd(hyperparameters["rate"])')
    yield inside("call: division by zero", "1 / 0")
    yield inside("call: if on a traced value", 'if hyperparameters["learning_rate"] > 1: pass')
    yield inside("call: float of a traced value", 'return optax.sgd(float(hyperparameters["learning_rate"]))')
    yield inside("call: an attribute that is not there", "return optax.nothing()")
    yield inside("call: SystemExit", "raise SystemExit(3)")
    bad = "return optax.GradientTransformation(optax.sgd(1.0).init, {})"
    yield inside("update: raises", bad.format("lambda *a, **k: 1 / 0"))
    yield inside("update: returns one thing", bad.format("lambda g, s, p=None: g"))
    yield inside("update: another structure", bad.format("lambda g, s, p=None: ({}, s)"))
    yield inside("update: None", bad.format("lambda g, s, p=None: (None, s)"))
    yield inside("update: another state", bad.format("lambda g, s, p=None: (g, (s, s))"))
    yield inside(
        "update: other shapes",
        "import jax\n" + bad.format("lambda g, s, p=None: (jax.tree.map(lambda x: x.reshape(-1)[:1], g), s)"),
    )
    yield inside("update: wants params of its own", bad.format("lambda g, s, p=None: (g + 1, s)"))
    yield inside("init: raises", "return optax.GradientTransformation(lambda p: p['x'], None)")
    yield declared("declared: nothing", "")
    yield declared("declared: text", 'learning_rate="high"')
    yield declared("declared: low above high", 'learning_rate=(1, 0.1, "log")')
    yield declared("declared: log of a negative", 'learning_rate=(-1, 0.1, "log")')
    yield declared("declared: NaN", 'learning_rate=(float("nan"), 1, "log")')
    yield declared("declared: an empty list", "learning_rate=[]")
    yield declared("declared: None", "learning_rate=None")


OWN_WORKLOAD = """
import pathlib
import jax.numpy as jnp
import numpy as np
import workloads

NAME = "mine/" + pathlib.Path(__file__).parent.name  # two files of one process cannot give one name

def init(key):
    return {"w": jnp.zeros((2, 2))}, ()

def apply(params, model_state, batch, key, train, dropout_rate):
    return batch["inputs"] @ params["w"], model_state

def loss(params, model_state, batch, key, train, regularization):
    return jnp.mean(batch["inputs"] @ params["w"]), model_state

def metrics(params, model_state, batch, key):
    return {"loss": jnp.sum(batch["inputs"] @ params["w"]), "examples": jnp.float32(len(batch["inputs"]))}

def transform(key, batch, split):
    return batch

@workloads.register(NAME)
def build(data_dir):
    split = {"inputs": np.ones((20, 2), np.float32)}
    data = workloads.ResidentData(
        {"train": split, "validation": split, "test": split}, workloads.Provenance("synthetic", "ones"), transform
    )
    return workloads.Workload(
        name=NAME, cost_class="mlp", summary="a line", init=init, loss=loss, metrics=metrics, apply=apply,
        data=data, metric=workloads.Metric("loss", minimize=True), validation_target=None, test_target=None,
        step_hint=4, eval_period=2, batch_size=4, loss_type="MEAN_SQUARED_ERROR",
    )
"""


# What of the damages below changes the workload and is its author's right, with the reason.
LEGAL = {
    "another cost class": "any name; those that nobody measured have a width of their own, and no number depends on it",
    "fields of lists": "lists of numbers are read as arrays",
    "a split that is missing": "a workload may have no test split",
}


def _of_own_workload(generator: np.random.Generator, folder: Path) -> Iterator[Damage]:
    del folder
    yield from _damage.of_text(generator)

    def changed(name: str, old: str, new: str) -> Damage:
        assert old in OWN_WORKLOAD, old
        text = OWN_WORKLOAD.replace(old, new)
        return Damage(
            name, lambda path: path.write_text(text) and None, {"tune": LEGAL[name]} if name in LEGAL else {}
        )

    for name in ("init", "loss", "metrics", "transform", "build"):
        head = next(line for line in OWN_WORKLOAD.splitlines() if line.startswith(f"def {name}("))
        for what, line in {
            "raises": "{}['x']", "ends": "raise SystemExit(3)", "returns nothing": "return None",
            "returns a number": "return 1", "returns a text": "return 'x'", "divides by zero": "1 / 0",
            "returns three": "return 1, 2, 3", "returns two texts": "return 'a', 'b'", "recurses": "return init(0)",
            "returns an empty object": "return {}", "memory": "raise MemoryError",
        }.items():  # fmt: skip
            yield changed(f"{name} {what}", head, f"{head}\n    {line}")
    for name, old, new in (
        ("loss of many numbers", "return jnp.mean(batch", "return (batch"),
        ("loss of integers", "return jnp.mean(batch", "return 0 * len(batch) + jnp.int32(0), 1\n    (batch"),
        ("loss with another state", 'params["w"]), model_state', 'params["w"]), (1, 2)'),
        ("shapes do not fit", "jnp.zeros((2, 2))", "jnp.zeros((3, 2))"),
        ("params of integers", "jnp.zeros((2, 2))", "jnp.zeros((2, 2), int)"),
        ("a field that is not there", 'batch["inputs"]', 'batch["x"]'),
        ("a value that is looked at", "return jnp.mean", "if batch['inputs'].sum() > 0: pass\n    return jnp.mean"),
        ("metrics without examples", '"examples"', '"number"'),
        ("metrics without the metric", '{"loss"', '{"lost"'),
        ("metrics of many numbers", "jnp.sum(", "("),
        ("another metric", 'Metric("loss"', 'Metric("accuracy"'),
        ("another name", 'name=NAME', 'name="mine/other"'),
        ("step_hint 0", "step_hint=4", "step_hint=0"), ("step_hint of text", "step_hint=4", "step_hint='4'"),
        ("eval_period 0", "eval_period=2", "eval_period=0"), ("batch_size 0", "batch_size=4", "batch_size=0"),
        ("batch_size -1", "batch_size=4", "batch_size=-1"), ("batch_size 1.5", "batch_size=4", "batch_size=1.5"),
        ("batch_size 100", "batch_size=4", "batch_size=100"),
        ("a target of NaN", "validation_target=None", "validation_target=float('nan')"),
        ("a target of text", "validation_target=None", "validation_target='low'"),
        ("no data", "data=data", "data=None"), ("no loss", "loss=loss", "loss=None"),
        ("no init", "init=init", "init=3"),
        ("fields of two lengths", "split = {", "split = {'targets': np.zeros(3), "),
        ("fields of objects", "np.ones((20, 2), np.float32)", "np.array([None] * 20)"),
        ("fields of lists", "np.ones((20, 2), np.float32)", "[[1.0, 2.0]] * 20"),
        ("no fields", 'split = {"inputs": np.ones((20, 2), np.float32)}', "split = {}"),
        ("a split that is missing", '"test": split}', "}"),
        ("another cost class", '"mlp"', '"great"'),
        ("metric of text", 'workloads.Metric("loss", minimize=True)', "'loss'"),
        ("a provenance of text", 'workloads.Provenance("synthetic", "ones")', "'ones'"),
        ("another loss type", '"MEAN_SQUARED_ERROR"', "3"),
    ):  # fmt: skip
        yield changed(name, old, new)


def _load(name: str) -> Callable[[Path], tuple[Any, ...]]:
    return lambda folder: (name, folder / "data")


_SOURCE = "build-list {file} --size 1 --json", "leave-one-out {file} --size 1 --json"
_OF_STUDY = (
    "build-list {dir}/study --size 2 --json", "leave-one-out {dir}/study --size 2 --json", "score {dir}/study --json",
    "curves list {dir}/study --size 2 --json",
)  # fmt: skip
_LOAD = "workloads:load"
_IMAGES = {
    _LOAD: _load("algoperf/mnist"),
    "workloads.data.mnist:read": lambda folder: (folder / "data", "mnist"),
}
_RECORDS = _IMAGES | {
    "workloads.data.tfds_folder:read_split": lambda folder: (folder / "data", "mnist", "train+test"),
}
_TEXT = {
    "workloads.data.tfds_folder:read_split": lambda folder: (
        folder / "data",
        "imdb_reviews/plain_text",
        "train",
    ),
    "workloads.taskset._text:load": lambda folder: (
        "imdb_reviews/bytes",
        32,
        2,
        None,
        folder / "data",
        True,
    ),
}
_SET = "study/trials/taskset__mlp_family_seed12/00000.parquet"
_NPZ = "released/mlp_family_seed0/nadamw_grid_400_replica2.npz"
_CURVES = "curves list {file} --size 2 --json", "curves convert {file} --out {out}.parquet"
_TFDS = "data/mnist/3.0.1"
_IMDB = "data/imdb_reviews/plain_text/1.0.0"


def _listed(file: str, content: Any, name: str, *commands: str, **readers: Any) -> Kind:
    return Kind(name, file, _dumped(file, content), _of_json_in(file), commands, readers)


KINDS: tuple[Kind, ...] = (
    _listed(
        "list.json", LIST, "list file",
        "package --list {file} --authors A --out {out}",
        "package --list {file} --authors A --ruleset self-tuning --out {out}",
    ),
    _listed(
        "points.json", POINTS, "list of points",
        "package --list {file} --optimizer nadamw_optax --authors A --out {out}",
    ),
    _listed(
        "space.json", SPACE, "search space",
        "package --space {file} --optimizer nadamw_optax --authors A --out {out}",
    ),
    Kind(
        "targets", "targets.json", _dumped("targets.json", TARGETS), _of_json_in("targets.json"),
        readers={
            "workloads:read_targets": lambda folder: (folder / "targets.json",),
            "tuning.targets:write_targets": lambda folder: (folder / "targets.json", {}, "a command"),
        },
    ),
    Kind(
        "facts", "facts.json", lambda folder: (_curve_table(folder), _dumped("facts.json", FACTS)(folder))[0],
        _of_json_in("facts.json"), ("curves convert {dir}/curves.parquet --facts {file} --out {out}.parquet",),
    ),
    Kind(
        "fractions, CSV", "fractions.csv", lambda folder: FRACTIONS.write_csv(folder / "fractions.csv"),
        lambda generator, folder: _damage.of_text(generator), _SOURCE,
    ),
    Kind(
        "fractions, Parquet", "fractions.parquet", lambda folder: FRACTIONS.write_parquet(folder / "fractions.parquet"),
        _of_parquet_in("fractions.parquet"), _SOURCE,
    ),
    Kind("study.json", "study/study.json", _study, _of_json_in("study/study.json"), _OF_STUDY),
    Kind("cohort", _SET, _study, _of_parquet_in(_SET), _OF_STUDY),
    Kind(
        "cohort without a checksum", _SET, lambda folder: _study(folder, sealed=False), _of_parquet_in(_SET), _OF_STUDY
    ),
    Kind(
        "runs of a study", "study/runs.jsonl", _study, lambda generator, folder: _damage.of_text(generator),
        readers={"results.studies:read_runs": lambda folder: (folder / "study",)},
    ),
    Kind("curve table", "curves.parquet", _curve_table, _of_parquet_in("curves.parquet"), _CURVES),
    Kind(
        "released curves", _NPZ, _released, _of_npz_in(_NPZ),
        ("curves list {dir}/released --size 2 --json", "curves convert {dir}/released --out {out}.parquet"),
    ),
    Kind(
        "weights", "weights.msgpack", _weights, lambda generator, folder: _damage.of_any_file(generator, 30),
        ("weights {file} --json", "package --weights {file} --authors A --out {out}"),
    ),
    Kind(
        "PyLO's weights", "VeLO_RNN/model.safetensors", _pylo_weights,
        lambda generator, folder: _damage.of_any_file(generator, 30),
        ("weights {file} {dir}/VeLO_MLP/model.safetensors --json",),
    ),
    Kind("replica means", "means.npz", _replica_means, _of_npz_in("means.npz"), _CURVES),
    *(
        Kind(f"AlgoPerf's {name}", f"tables/{name}", _tables_of_logs, _of_parquet_in(f"tables/{name}"),
             ("score {dir}/tables --json", "build-list {dir}/tables --size 1 --json"))
        for name in ("trials.parquet", "evals.parquet")
    ),
    *(
        Kind(f"log's {name}", f"logs/mine/study_0/fastmri_jax/trial_1/{name}", _log_tree,
             _of_json_in(f"logs/mine/study_0/fastmri_jax/trial_1/{name}"), ("score {dir}/logs --json",))
        for name in ("meta_data_0.json", "hparams.json")
    ),
    Kind(
        "log's evaluations", "logs/mine/study_0/fastmri_jax/trial_1/eval_measurements.csv", _log_tree,
        lambda generator, folder: _damage.of_text(generator), ("score {dir}/logs --json",),
    ),
    Kind("IDX images", "data/mnist/train-images-idx3-ubyte", _idx, _of_idx("train-images-idx3-ubyte"), readers=_IMAGES),
    Kind(
        "IDX labels", "data/mnist/train-labels-idx1-ubyte", _idx, _of_idx("train-labels-idx1-ubyte", labels=True),
        readers=_IMAGES,
    ),
    Kind(
        "IDX labels, gzip", "data/mnist/t10k-labels-idx1-ubyte.gz", _gzipped_idx, _of_idx(".gz", labels=True),
        readers=_IMAGES,
    ),
    *(
        Kind(f"TFDS's {name}", f"{_TFDS}/{name}", _tfds_images, _of_json_in(f"{_TFDS}/{name}"), readers=_RECORDS)
        for name in ("dataset_info.json", "features.json")
    ),
    Kind("TFDS's metadata.json", "data/imdb_reviews/.config/metadata.json", _tfds_texts,
         _of_json_in("data/imdb_reviews/.config/metadata.json"), readers={
             "workloads.data.tfds_folder:find": lambda folder: (folder / "data", "imdb_reviews")}),
    Kind("TFRecord of images", f"{_TFDS}/mnist-train.tfrecord-00000-of-00001", _tfds_images, _of_records(False),
         readers=_RECORDS),
    Kind("TFRecord of texts", f"{_IMDB}/imdb_reviews-train.tfrecord-00000-of-00001", _tfds_texts, _of_records(True),
         readers=_TEXT),
    Kind("own optimizer", "mine.py", _own_optimizer, _of_own_optimizer,
         ("package --optimizer {file}:mine --authors A --out {out}",
          "tune digits/conv --study {out} --steps 2 --eval-period 1 --budget 1 --optimizer {file}:mine"),
         seconds=300.0),
    Kind("own workload", "mine.py", lambda folder: (folder / "mine.py").write_text(OWN_WORKLOAD), _of_own_workload,
         ("tune {file}:build --study {out} --steps 2 --eval-period 1 --budget 1",), seconds=300.0),
)  # fmt: skip


@functools.cache
def function(name: str) -> Callable[..., object]:
    """What `module:function` names."""
    module, _, inside = name.partition(":")
    return getattr(importlib.import_module(module), inside)
