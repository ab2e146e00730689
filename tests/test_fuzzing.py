"""The fuzz finds what it is there to find: a fuzz that sees nothing would let everything through."""

import ctypes
import time
from pathlib import Path

import pytest
from fuzzing import CPU, Outcome, fuzz, mutated


def fine(file: Path) -> None:
    if len(file.read_bytes()) % 2:
        raise ValueError(f"{file}: has an odd number of bytes")


def foreign_error(file: Path) -> None:
    raise KeyError(str(file))


def unnamed_error(file: Path) -> None:
    raise ValueError("something is wrong")


def long_error(file: Path) -> None:
    raise ValueError(f"{file.name}: {'x' * 5000}")


def two_lines(file: Path) -> None:
    raise OSError(f"{file.name}:\nis wrong")


def computes(file: Path) -> None:
    while time.process_time() < 10 * CPU:
        pass


def fills_memory(file: Path) -> None:
    bytearray(2**31)


def crashes(file: Path) -> None:
    ctypes.string_at(0)


def ends(file: Path) -> None:
    raise SystemExit(f"{file.name}: cannot go on")


def outcome(parse, folder: Path, count: int = 3) -> Outcome:
    return fuzz(parse, [b"seed one 12", b"seed 3.5 two"], folder, "foreign.txt", "", count)


def test_what_is_read_or_refused_by_name_is_no_failure(tmp_path: Path) -> None:
    found = outcome(fine, tmp_path, 100)
    assert found.read > 10 and found.refused > 10 and found.read + found.refused == 100 and not found.failures


@pytest.mark.parametrize(
    ("parse", "said"),
    [
        (foreign_error, "KeyError"),
        (unnamed_error, "ValueError that does not name the file: something is wrong"),
        (long_error, "ValueError that is no line"),
        (two_lines, "OSError that is no line"),
        (fills_memory, "takes more than 1 GiB"),
        (crashes, "ends the process, status -11"),
        (ends, "ends the process, status 1"),
    ],
)
def test_every_other_end_is_a_failure_and_the_next_file_is_tried(parse, said: str, tmp_path: Path) -> None:
    found = outcome(parse, tmp_path)
    assert sorted(found.failures) == [0, 1, 2] and all(said in text for text in found.failures.values()), found
    for number in range(3):
        kept = (tmp_path / f"{number}-foreign.txt").read_bytes()
        assert kept == mutated([b"seed one 12", b"seed 3.5 two"], number), "the file can be tried again by itself"


def test_a_parser_that_does_not_end_is_a_failure(tmp_path: Path) -> None:
    assert "hangs" in outcome(computes, tmp_path, 1).failures[0]
