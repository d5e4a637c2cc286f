"""Workloads from outside the package: FILE.py:NAME, and entry points of other packages."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np
import pytest

import workloads
from workloads import own_files

CLICKS = """
import dataclasses
import workloads

@workloads.register("{name}")
def {function}(data_dir):
    return dataclasses.replace(workloads.load("clicks/mlp", data_dir), name="{name}")
"""


def write(folder, code, name="mine.py"):
    file = folder / name
    file.write_text(textwrap.dedent(code))
    return file


def own(folder, name, function="build"):
    """A file with one workload, called as no other test calls its own."""
    return write(folder, CLICKS.format(name=name, function=function))


def test_a_file_and_a_name_are_a_workload(tmp_path):
    file = own(tmp_path, "mine/one")
    assert workloads.load(f"{file}:mine/one").name == "mine/one"


def test_the_function_names_it_too(tmp_path):
    file = own(tmp_path, "mine/two", function="clicks_again")
    assert workloads.load(f"{file}:clicks_again").name == "mine/two"


def test_a_file_leaves_no_trace_in_the_process_that_only_loads_it(tmp_path):
    workloads.load(f"{own(tmp_path, 'mine/three')}:mine/three")
    with pytest.raises(ValueError, match="unknown workload"):
        workloads.load("mine/three")
    assert workloads.own_file("mine/three") is None
    assert [path.name for path in tmp_path.iterdir()] == ["mine.py"]  # no compiled copy beside it


def test_the_recorded_name_is_known_from_then_on(tmp_path):
    file = own(tmp_path, "mine/four")
    assert workloads.recorded_name(f"{file}:mine/four") == "mine/four"
    assert workloads.recorded_name("clicks/mlp") == "clicks/mlp"
    assert workloads.load("mine/four").name == "mine/four"
    assert workloads.own_file("mine/four") == own_files.OwnFile(
        str(file), own_files.sha256(file.read_bytes())
    )
    assert workloads.describe(f"{file}:mine/four")["kind"] == "own"


def test_a_changed_file_is_imported_anew(tmp_path):
    file = own(tmp_path, "mine/five")
    workloads.recorded_name(f"{file}:mine/five")
    file.write_text(file.read_text().replace('name="mine/five"', 'name="mine/five", batch_size=7'))
    assert workloads.load("mine/five").batch_size != 7  # as it was recorded
    workloads.recorded_name(f"{file}:mine/five")
    assert workloads.load("mine/five").batch_size == 7


def test_two_files_cannot_mean_different_workloads_by_one_name(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    first.mkdir()
    second.mkdir()
    file = own(first, "mine/six")
    workloads.recorded_name(f"{file}:mine/six")
    other = own(second, "mine/six")
    assert workloads.recorded_name(f"{other}:mine/six") == "mine/six"  # the same content
    other.write_text(other.read_text() + "# changed\n")
    workloads.recorded_name(f"{file}:mine/six")
    with pytest.raises(ValueError, match=r"'mine/six' is already that of .*; give one of them another name"):
        workloads.recorded_name(f"{other}:mine/six")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("", r"mine.py: registers no workload 'mine/x'; write @workloads.register\(\"mine/name\"\)"),
        (CLICKS.format(name="mine/y", function="f"), r"'mine/x'; did you mean 'mine/y'\? \(it has mine/y\)"),
        ("import nowhere_at_all", "mine.py, line 1: ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("x = 1\nx = (", r"mine.py, line 2: SyntaxError: '\(' was never closed"),
        ("import sys\nsys.exit(0)", "mine.py, line 2: SystemExit: 0"),
        (CLICKS.format(name="clicks/mlp", function="f"), "line 5: workload 'clicks/mlp' exists already"),
        (CLICKS.format(name="mine/z", function="f") * 2, "line 12: workload 'mine/z' exists already"),
        (
            CLICKS.format(name="mine/x", function="f").replace('name="mine/x"', "nmae=3"),
            r"mine.py, line 7: TypeError: .*'nmae' \(building 'mine/x'\)",
        ),
        (
            '\nimport workloads\nworkloads.register("mine/x")(lambda data_dir: data_dir)\n',
            "the builder of 'mine/x' returned NoneType; return a workloads.Workload",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_told_in_one_line(tmp_path, code, message):
    file = write(tmp_path, code)
    with pytest.raises(ValueError, match=message) as error:
        workloads.load(f"{file}:mine/x")
    assert "\n" not in str(error.value)


def test_a_file_that_was_mended_is_imported(tmp_path):
    file = write(tmp_path, CLICKS.format(name="mine/m", function="f") + "\nraise RuntimeError")
    with pytest.raises(ValueError, match="line 9: RuntimeError"):
        workloads.load(f"{file}:mine/m")
    file.write_text(file.read_text().replace("raise RuntimeError", ""))
    assert workloads.load(f"{file}:mine/m").name == "mine/m"


def test_a_missing_file_and_a_missing_name_are_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere.py: no such file; .*FILE.py:NAME"):
        workloads.load(f"{tmp_path}/nowhere.py:mine/x")
    with pytest.raises(ValueError, match=r"one of your own is given as FILE.py:NAME"):
        workloads.load("mine.py")


def test_a_name_of_the_form_is_parted_at_its_last_suffix():
    assert own_files.is_file_form("a:b/x.py:mine/x")
    assert list(map(str, own_files.parts("a:b/x.py:mine/x"))) == ["a:b/x.py", "mine/x"]
    assert not any(map(own_files.is_file_form, ("clicks/mlp", "x.py", "x.py:", "taskset/a@b=c")))


# A package as pip leaves it: a module, and the metadata that name its entry point.
@pytest.fixture
def package(tmp_path):
    def install(distribution, name):
        own(tmp_path, name).rename(tmp_path / f"{distribution}.py")
        metadata = tmp_path / f"{distribution}-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(f"[shortlist.workloads]\n{name} = {distribution}:build\n")

    def ask(code):
        program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import workloads; {code}"
        return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    return install, ask


def test_an_entry_point_of_a_package_is_a_workload(package):
    install, ask = package
    install("theirs", "theirs/clicks")
    listed = ask("print('theirs/clicks' in workloads.names(), 'theirs' in sys.modules)")
    assert listed.stdout.split() == ["True", "False"], listed.stderr  # named without being imported
    loaded = ask("print(workloads.load('theirs/clicks').name)")
    assert loaded.stdout.strip() == "theirs/clicks", loaded.stderr


def test_entry_points_of_one_name_are_refused(package):
    install, ask = package
    install("theirs", "theirs/clicks")
    install("others", "theirs/clicks")
    assert "is one of others (an entry point) and of theirs" in ask("workloads.load('theirs/clicks')").stderr
    install("third", "clicks/mlp")
    assert "is one of third (an entry point) and of Shortlist" in ask("workloads.load('clicks/mlp')").stderr


TRACED = """
import dataclasses
import jax.numpy as jnp
import workloads

@workloads.register("{name}")
def build(data_dir):
    clicks = workloads.load("clicks/mlp", data_dir)
    def loss(params, model_state, *others):
        {body}
    def metrics(*arguments):
        return {sums}
    return dataclasses.replace(clicks, name="{name}", loss=loss, metrics=metrics, shared=None)
"""


@pytest.mark.parametrize(
    ("body", "sums", "line", "message"),
    [
        ("return params['nowhere']", "{}", 10, "loss of mine/t0: KeyError: 'nowhere'; it is no field of the batch"),
        ("raise SystemExit(0)", "{}", 10, "loss of mine/t1: SystemExit: 0"),
        ("return jnp.float32(0)", "{}", 9, r"loss of mine/t2: returned float32\[\]; must return \(loss, model_state\)"),
        ("return jnp.zeros(3), model_state", "{}", 9, r"its loss is float32\[3\]; must be one floating-point number"),
        ("return jnp.float32(0), {'a': 1}", "{}", 6, "its model_state has another structure than the one"),
        ("", "{'loss': 0.0}", 11, "metrics of mine/t5: its sums lack 'examples'; it has loss"),
    ],
)  # fmt: skip
def test_a_function_of_a_workload_that_fails_is_told_with_the_users_line(
    tmp_path, request, body, sums, line, message
):
    number = request.node.callspec.indices["body"]
    file = write(tmp_path, TRACED.format(name=f"mine/t{number}", body=body or "pass", sums=sums))
    workload = workloads.load(f"{file}:build")
    traced, more = (workload.loss, (True, None)) if body else (workload.metrics, ())
    with pytest.raises(ValueError, match=message) as error:
        traced({}, (), {}, None, *more)
    assert str(error.value).startswith(f"{file}, line {line}: ")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("batch_size=0", "batch_size is 0; must be a whole number above 0"),
        ("step_hint='9'", "step_hint is '9'; must be a whole number above 0"),
        ("loss_type='CTC'", "loss_type is 'CTC'; did you mean 'CTC_LOSS'"),
        ("validation_target=float('nan')", "validation_target is nan; must be a number, or None"),
        ("metric='loss'", "metric is 'loss'; must be a workloads.Metric"),
    ],
)
def test_impossible_facts_are_refused_with_the_users_line(tmp_path, change, message):
    file = write(tmp_path, CLICKS.format(name="mine/f", function="f").replace('name="mine/f"', change))
    with pytest.raises(ValueError, match=rf"mine.py, line 7: .*{message}"):
        workloads.load(f"{file}:f")


def test_fields_of_a_split_must_agree_in_length():
    fields = {"inputs": np.zeros((3, 1)), "targets": np.zeros(2)}
    with pytest.raises(ValueError, match="inputs has 3, targets has 2"):
        workloads.ResidentData({"train": fields}, workloads.Provenance("synthetic", "none"))


def test_a_link_to_itself_has_a_whole_path(tmp_path):
    (tmp_path / "loop.py").symlink_to("loop.py")
    assert own_files.absolute(f"{tmp_path}/loop.py:f") == f"{tmp_path}/loop.py:f"
