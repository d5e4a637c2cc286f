"""Every code is found in a submission broken in that way, where it is broken, and nothing else is found."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from submissions.validation import CODES, Finding, _worker, inspect, validate
from submissions.validation.findings import table
from tests.submissions.validation.examples import (
    COMPANIONS,
    DRY,
    HERE,
    POINT,
    SELF_TUNING,
    STATIC,
    SUBMISSION,
    both,
    code,
    file,
    healthy,
    in_step,
    ranges,
    space,
    top,
    without,
)
from tests.workloads import streamed

CHEAP = ("taskset/quadratic_family_seed2",)
SEPARATE = ("D611", "D616", "D618", "D619")  # told by the process outside


@pytest.fixture
def folder(tmp_path):
    return healthy(tmp_path / "healthy")


def static(folder: Path, ruleset: str = "external") -> list[Finding]:
    return validate(folder, ruleset=ruleset, dry_run=False)


def codes(findings: list[Finding]) -> set[str]:
    return {finding.code for finding in findings}


def marked(folder: Path) -> set[tuple[str, int]]:
    """(file, line) of the lines that are broken."""
    return {
        (path.name, number)
        for path in folder.iterdir()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if HERE in line
    }


def dry(folder: Path, *workloads: str, steps: int = 5) -> list[Finding]:
    """What the dry run's process finds, without starting one."""
    found: list[dict] = []
    wanted = {
        "submission": str(folder / "submission.py"),
        "point": POINT,
        "workloads": workloads or CHEAP,
        "steps": steps,
        "first": True,
        "sources": [],
        "trusted": [],
    }
    _worker.work(wanted, lambda **answer: found.append(answer))
    findings = [finding for answer in found for finding in answer.get("findings", [])]
    return [Finding(**one) for one in [*findings, *(a["noted"] for a in found if "noted" in a)]]


# ---- Every code ------------------------------------------------------------------------------------------------


def test_every_code_has_a_submission_broken_in_that_way():
    assert set(STATIC) | set(DRY) == set(CODES)


def test_nothing_is_found_in_a_healthy_submission(folder):
    assert static(folder) == []


@pytest.mark.parametrize("name", STATIC)
def test_reading_finds(name, folder):
    STATIC[name](folder)
    if not folder.exists():
        (folder,) = folder.parent.iterdir()
    findings = static(folder, "self-tuning" if name in SELF_TUNING else "external")
    assert codes(findings) == {name} | COMPANIONS.get(name, set())
    here = marked(folder) if name != "F101" else set()
    assert {(f.file, f.line) for f in findings if f.code == name} >= here
    assert all(finding.remedy and finding.message for finding in findings)


@pytest.mark.parametrize("name", sorted(set(DRY) - set(SEPARATE)))
def test_the_dry_run_finds(name, folder):
    DRY[name](folder)
    findings = dry(folder)
    assert codes(findings) == {name} | COMPANIONS.get(name, set())
    assert {(f.file, f.line) for f in findings} >= marked(folder)


def test_a_dry_run_of_a_healthy_submission_finds_nothing(folder):
    batch_norm = "taskset/FixedMLP_cifar10_BatchNorm_64x64x64x64x64_relu_bs128@batch_norm=moving_average"
    checked = inspect(folder, workloads=["algoperf/mnist", batch_norm, *CHEAP], steps=5)
    assert checked.findings == []
    assert checked.passed
    assert [one.workload for one in checked.figures] == ["algoperf/mnist", batch_norm, *CHEAP]
    assert all(0 < one.step_seconds < one.first_step_seconds for one in checked.figures)


def test_an_import_may_look_through_folders_that_have_changed(folder, tmp_path, monkeypatch):
    searched = tmp_path / "searched"
    searched.mkdir()
    monkeypatch.syspath_prepend(searched)
    monkeypatch.delitem(sys.modules, "stringprep", raising=False)
    # What nobody has looked at, or has changed since, is listed anew.
    at_once = f"import sys; sys.path_importer_cache.pop({str(searched)!r}, None); import stringprep"
    in_step(at_once)(folder)
    assert dry(folder) == []


def test_a_submission_logs_scalars_in_a_dry_run_as_wherever_algoperf_writes_logs(folder):
    # AlgoPerf attaches a logger between the first call and the first step.
    at_start = code(
        "    return momentum, functools",
        "    assert workload.metrics_logger is None\n    return momentum, functools",
    )
    logged = "workload.metrics_logger.append_scalar_metrics({'it': %s}, global_step)"
    both(at_start, in_step(logged % "jnp.float32(1)"))(folder)
    assert codes(dry(folder)) == set()
    in_step(logged % "batch['inputs']")(folder)  # no scalar
    assert codes(dry(folder)) == {"D602"}


@pytest.mark.slow
def test_a_dry_run_reads_a_stream(folder):
    with streamed.registered():
        assert codes(dry(folder, streamed.NAME)) == set()


def test_a_slow_step_is_found_beside_plain_adam(folder):
    DRY["D611"](folder)
    checked = inspect(folder, workloads=CHEAP, steps=4)
    assert codes(checked.findings) == {"D611"}
    assert checked.figures[0].step_seconds > 0.1  # it sleeps so long
    assert checked.passed  # a warning


def test_a_process_that_dies_costs_its_workload_alone(folder):
    DRY["D616"](folder)
    checked = inspect(folder, workloads=[*CHEAP, "taskset/quadratic_family_seed3"], steps=4)
    assert [(f.code, f.workload) for f in checked.findings if f.code != "R519"] == [
        ("D616", CHEAP[0]),
        ("D616", "taskset/quadratic_family_seed3"),
    ]
    assert "exit status 3" in checked.findings[0].message


def test_a_file_opened_elsewhere_is_seen_while_it_runs(folder, tmp_path):
    (tmp_path / "results.txt").write_text("0.9")
    in_step(f"path = {str(tmp_path)!r} + '/results.txt'", f"open(path).close()  {HERE}")(folder)
    findings = dry(folder)
    assert [(f.code, f.file, f.line) for f in findings] == [("R502", *marked(folder).pop())]


def test_reading_never_runs_the_code(folder, tmp_path):
    top(f"open({str(tmp_path / 'ran')!r}, 'w').close()")(folder)
    static(folder)
    assert not (tmp_path / "ran").exists()


# ---- No false alarms -------------------------------------------------------------------------------------------

INNOCENT = {
    "a default where it is read": in_step("getattr(hyperparameters, 'epsilon', 1e-8)"),
    "a look before it is read": in_step(
        "if hasattr(hyperparameters, 'epsilon'):", "    hyperparameters.epsilon"
    ),
    "a name put together": both(
        ranges(beta1={"feasible_points": [0.9]}),
        top("def _beta(point, name):\n    return getattr(point, f'{name}1')\n"),
        in_step("_beta(hyperparameters, 'beta')"),
    ),
    "names that cannot be followed": both(
        ranges(epsilon={"feasible_points": [1e-8]}),
        in_step("dict(zip(hyperparameters._fields, hyperparameters))"),
    ),
    "hyperparameters read in a nested function": both(
        ranges(epsilon={"feasible_points": [1e-8]}),
        in_step("def epsilon():", "    return hyperparameters.epsilon", "epsilon()"),
    ),
    "defaults where none are given": both(
        top("HPARAMS = {'epsilon': 1e-8}"),
        in_step("if hyperparameters is None:", "    hyperparameters = HPARAMS", "hyperparameters.epsilon"),
    ),
    "a list of five points": space([POINT] * 5),
    "a branch on the loss type": in_step("if loss_type == spec.LossType.CTC_LOSS:", "    global_step += 1"),
    "a branch on a parameter's name": in_step("'conformer' in current_param_container"),
    "workload.step_hint in a schedule": in_step("min(1.0, global_step / workload.step_hint)"),
    "a seeded generator": in_step("np.random.RandomState(0).normal()", imports="import numpy as np"),
    "the validation results": in_step("[result['validation/loss'] for _, result in eval_results]"),
    "a compiled function kept in a global": both(
        top("STEP = None"), in_step("global STEP", "STEP = STEP or jax.jit(lambda x: x)")
    ),
    "statistics averaged for evaluation": code(
        "    jax.block_until_ready(current_param_container)\n",
        "    model_state = dict(model_state or {})\n    model_state['batch_stats'] = {}\n",
    ),
    "isinstance of the interface": in_step("isinstance(workload, spec.Workload)"),
    "what only a script does": in_step("print()", imports="if __name__ == '__main__':\n    open('/data/x')"),
    "a module of its own": both(file("helper.py", "RATE = 1.0\n"), top("from .helper import RATE")),
    "its own module by the repository's path": both(
        file("helper.py", "RATE = 1.0\n"), top("from submissions.external_tuning.healthy.helper import RATE")
    ),
    "a package that it requires": both(file("requirements.txt", "einops>=0.8\n"), top("import einops")),
    "the harness's dictionary of shapes": in_step("workload.param_shapes"),
}


@pytest.mark.parametrize("name", INNOCENT)
def test_no_alarm_at(name, folder):
    INNOCENT[name](folder)
    assert static(folder) == []


def test_a_self_tuning_submission_may_have_a_table_of_constants(folder):
    without("tuning_search_space.json")(folder)
    code("ruleset: external", "ruleset: self-tuning", "submission_info.yml")(folder)
    constants = {**POINT, "one_minus_beta": 0.1}
    top(f"import types\n\nHPARAMS = types.SimpleNamespace(**{constants!r})")(folder)
    code("_settings(hyperparameters)", "_settings(HPARAMS)")(folder)
    assert static(folder, "self-tuning") == []


def test_a_key_that_a_table_of_constants_lacks_is_found(folder):
    both(
        top("HPARAMS = {'beta': 0.9}"),
        in_step("hyperparameters = HPARAMS", f"hyperparameters['beta1']  {HERE}"),
    )(folder)
    findings = static(folder)
    assert codes(findings) == {"H401", "H402"}
    assert ("submission.py", next(f.line for f in findings if f.code == "H401")) in marked(folder)


def test_hyperparameters_are_followed_into_another_file(folder):
    file("schedule.py", f"def rate(point):\n    return point.warmup  {HERE}\n")(folder)
    both(top("from schedule import rate"), in_step("rate(hyperparameters)"))(folder)
    (finding,) = static(folder)
    assert (finding.code, finding.file, finding.line) == ("H401", "schedule.py", 2)


def test_old_submissions_may_declare_what_the_old_runner_read(folder):
    code("import jax\n", "import jax\nfrom algorithmic_efficiency import spec as old\n")(folder)
    code('point.label_smoothing if hasattr(point, "label_smoothing") else 0.0', "0.0")(folder)
    code('getattr(point, "dropout_rate", 0.0)', "0.0")(folder)
    found = static(folder)
    assert codes(found) == {"A204", "H402"}
    assert [f.message for f in found if f.code == "H402"] == [
        "label_smoothing is declared in tuning_search_space.json and never read"
    ]


# ---- The call as a whole ---------------------------------------------------------------------------------------


def test_errors_come_first_and_name_their_line(folder):
    both(STATIC["R514"], STATIC["R503"])(folder)
    findings = static(folder)
    assert [finding.severity for finding in findings] == ["error", "warning"]
    assert findings[0].place == f"submission.py:{findings[0].line}"


def test_a_dry_run_is_not_tried_where_it_has_nothing_to_run(folder):
    STATIC["A201"](folder)
    checked = inspect(folder)
    assert checked.figures == []
    assert "A201" in checked.not_run
    assert not checked.passed


def test_the_ruleset_follows_from_the_folder(folder):
    assert inspect(folder, dry_run=False).ruleset == "external"
    without("tuning_search_space.json")(folder)
    assert inspect(folder, dry_run=False).ruleset == "self-tuning"


def test_bad_calls_say_what_would_be_right(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        validate(tmp_path / "nothing")
    with pytest.raises(ValueError, match="known: external, self-tuning"):
        validate(folder, ruleset="internal")
    with pytest.raises(ValueError, match="at least 4"):
        validate(folder, steps=1)
    with pytest.raises(ValueError, match="quadratic_family_sed2"):
        validate(folder, workloads=["taskset/quadratic_family_sed2"])


def test_findings_are_plain_json(folder):
    STATIC["R503"](folder)
    said = inspect(folder, dry_run=False).to_json()
    (finding,) = json.loads(json.dumps(said))["findings"]
    assert finding == {
        "code": "R503",
        "severity": "error",
        "message": "urllib.request.urlopen(...)",
        "file": "submission.py",
        "line": next(
            n for n, line in enumerate((folder / "submission.py").read_text().splitlines(), 1) if HERE in line
        ),
        "workload": None,
        "remedy": CODES["R503"].remedy,
    }


def test_the_page_has_the_table_of_codes():
    page = Path(__file__).parents[3] / "docs" / "validate.md"
    assert table() in page.read_text()


def test_validation_imports_without_jax():
    program = "import sys, submissions.validation; sys.exit('jax' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[3], check=False).returncode
        == 0
    )


def test_the_example_is_python():
    compile(SUBMISSION, "submission.py", "exec")
