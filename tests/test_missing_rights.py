"""What may not be read, written or searched: commands name it, lose nothing, and take nothing for absent."""

from __future__ import annotations

import shutil
import subprocess
import sys
import types

import pytest

from benchmarks import _rights_cases, missing_rights
from workloads.data import caches, reading, resized

needs_rights_to_count = pytest.mark.skipif(
    not missing_rights.rights_count() and shutil.which(missing_rights.WITHOUT_PRIVILEGES[0]) is None,
    reason="for a privileged user rights do not count, and there is no setpriv to drop privileges with",
)


@needs_rights_to_count
@pytest.mark.parametrize(("group", "named"), [("read", "score"), ("write", "build-list")])
def test_what_may_not_be_read_or_written_is_named_in_one_line(group, named):
    run(group, "--named", named)


@needs_rights_to_count
@pytest.mark.slow
@pytest.mark.parametrize("group", sorted({case.group for case in _rights_cases.CASES}))
def test_no_command_loses_or_passes_over_what_it_has_no_right_to(group):
    run(group)


def run(group: str, *others: str) -> None:
    line = [sys.executable, "-m", "benchmarks.missing_rights", "--group", group, *others]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (
        "".join(x for x in done.stdout.splitlines(True) if x.startswith("WRONG")) + done.stderr
    )
    assert " 0 of them wrong" in done.stdout


def test_a_folder_that_may_not_be_listed_is_not_an_empty_one(tmp_path, monkeypatch):
    def refuse(path: object) -> list[str]:
        raise PermissionError(13, "Permission denied", str(path))

    for name in ("b.parquet", "a.parquet", "c.csv"):
        (tmp_path / name).touch()
    assert [path.name for path in reading.matching(tmp_path, "*.parquet")] == ["a.parquet", "b.parquet"]
    assert reading.matching(tmp_path / "absent", "*") == []
    assert reading.matching(tmp_path / "a.parquet", "*") == []
    monkeypatch.setattr(reading.os, "listdir", refuse)
    with pytest.raises(PermissionError, match="Permission denied"):
        reading.matching(tmp_path, "*")


def test_a_user_without_a_home_or_a_place_for_caches_is_told_what_to_set(tmp_path, monkeypatch):
    def homeless() -> None:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(caches.pathlib.Path, "home", homeless)
    assert caches.cache_folder() is None
    source = types.SimpleNamespace(check_sizes=lambda split: None, parts=lambda split: [])
    monkeypatch.setattr(resized.tfds_folder, "find", lambda *_: source)
    with pytest.raises(ValueError, match="set XDG_CACHE_HOME"):
        resized.resized_images(tmp_path, "mine", "train", "label", (8, 8, 3))
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(OSError, match=r"file/shortlist/images: no place .* set XDG_CACHE_HOME"):
        resized.resized_images(tmp_path, "mine", "train", "label", (8, 8, 3))
