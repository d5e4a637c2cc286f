"""Files are opened in one way: what is no file is refused before it is opened, and JSON is what the standard says."""

from __future__ import annotations

import os
import signal

import pytest

from workloads.data import reading
from workloads.slow import told_when_slow


@pytest.fixture
def in_time():
    """Ends a test that waits for a pipe."""
    signal.alarm(10)
    yield
    signal.alarm(0)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda path: os.mkfifo(path), ValueError, "is a named pipe; give a file"),
        (lambda path: path.mkdir(), ValueError, "is a folder; give a file"),
        (lambda path: path.symlink_to("/dev/zero"), ValueError, "is a device; give a file"),
        (lambda path: path.symlink_to(path.name), ValueError, "leads back to itself"),
        (lambda path: path.symlink_to("nowhere"), FileNotFoundError, "no such file"),
        (lambda path: None, FileNotFoundError, "no such file"),
        (lambda path: path.symlink_to("x" * 300), OSError, "File name too long"),
    ],
)
def test_what_is_no_file_is_refused_before_it_is_opened(tmp_path, in_time, make, error, message):
    path = tmp_path / "list.json"
    make(path)
    with pytest.raises(error, match=message) as caught:
        reading.read_bytes(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not valid JSON"),
        (b'{"a": 1, "a": 2}', "the key 'a' occurs twice"),
        (b"NaN", "NaN is not a finite number"),
        (b"[-Infinity]", "-Infinity is not a finite number"),
        (b"1e999", "1e999 is beyond"),
        (b"1" * 400, "has 400 digits"),
        (b"1" * 100_000, "has 100000 digits"),
        (b"[" * 100 + b"]" * 100, "nested more than 64 deep"),
        (b"[" * 1_000_000, "nested more than 64 deep"),
        ('{"a": 1}'.encode("utf-16"), "text in UTF-16; save it as UTF-8"),
        (b'"\xe9"', "no text in UTF-8: byte 1"),
        (b'"\\ud800"', "half of a character"),
    ],
)
def test_what_is_no_json_says_why_in_one_line(content, message):
    with pytest.raises(ValueError, match=message) as caught:
        reading.parse_json(content, "mine.json")
    assert str(caught.value).startswith("mine.json: ")
    assert "\n" not in str(caught.value)


def test_a_byte_order_mark_and_a_whole_surrogate_pair_are_read():
    assert reading.parse_json(b'\xef\xbb\xbf{"a": "\\ud83d\\ude00"}', "mine.json") == {"a": "😀"}


def test_what_takes_long_is_named_while_it_does(caplog):
    import time

    with told_when_slow("importing mine.py", seconds=0.01):
        time.sleep(0.2)
    with told_when_slow("importing yours.py", seconds=10):
        pass
    assert [record.message for record in caplog.records] == [
        "importing mine.py has taken 0.01 s so far; Ctrl-C stops it"
    ]
