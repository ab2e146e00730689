"""Feeds mutated files to a parser, in a process of its own, and reports each that it does not read or refuse well.

A parser reads a file of a stranger. For whatever bytes it must return, or raise ValueError or OSError with one line
that names the file, within 5 s of computing and 1 GiB of memory. `assert_survives` is the harness of all parsers:

    def parse(file: Path) -> None: ...          # at the top of a test module

    def test_...(tmp_path): assert_survives(parse, SEEDS, tmp_path)

It tries 200 files, or as many as the variable RIG_FUZZ says. Which file a number means is always the same.
"""

import importlib
import json
import os
import random
import re
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

COUNT = int(os.environ.get("RIG_FUZZ", "200"))
"""How many files are tried of each parser."""
CPU = 5.0
"""Time that a parser may compute for one file [s]."""
WALL = 60.0
"""Time after which it counts as hanging though it computes nothing [s]."""
MEMORY = 2**30
"""Memory that a parser may take beyond what its process has after importing it [bytes]."""
LONGEST = 1000
"""Longest error [characters]."""
BATCH = 1000
"""Files after which a new process goes on."""

_NUMBERS = (
    *("0", "-1", "1", "nan", "inf", "-inf", "1e400", "1e30", "-0.0", "1e-300", "65536", "2147483648", "4294967295"),
    *("9223372036854775808", "9" * 30, "0x7fffffff", "1e", "--1", "1,5", "", "0.1.2", ".nan", ".inf", "true", "~"),
)


@dataclass
class Outcome:
    """What became of the files.

    Attributes:
        read: How many were read.
        refused: How many were refused as they should.
        failures: For each other one its number and what happened.
    """

    read: int = 0
    refused: int = 0
    failures: dict[int, str] = field(default_factory=dict)
    slowest: float = 0.0
    """longest time that a file took [s]"""


def assert_survives(
    parse: Callable[[Path], None], seeds: Sequence[bytes], folder: Path, name: str = "foreign.bin", words: str = ""
) -> None:
    """Fail where a parser does not read or refuse each of the mutated files as it should.

    Args:
        parse: The parser, at the top of its module; it gets the file.
        seeds: Good files, which are mutated.
        folder: An empty directory for the files.
        name: The file's name, which an error must have in it.
        words: What an error may have in it instead.
    """
    outcome = fuzz(parse, seeds, folder, name, words)
    shown = [f"{number}: {what}" for number, what in sorted(outcome.failures.items())[:10]]
    print(
        f"{parse.__module__}.{parse.__name__}: {outcome.read} read, {outcome.refused} refused, "
        f"{len(outcome.failures)} failures, slowest {outcome.slowest:.2f} s"
    )
    assert not outcome.failures, f"{len(outcome.failures)} of {COUNT}; kept in {folder}:\n" + "\n".join(shown)
    assert outcome.read + outcome.refused == COUNT


def fuzz(
    parse: Callable[[Path], None], seeds: Sequence[bytes], folder: Path, name: str, words: str, count: int = COUNT
) -> Outcome:
    """Return what becomes of mutated files; those that fail are kept in the folder."""
    for index, seed in enumerate(seeds):
        (folder / f"seed{index}").write_bytes(seed)
    outcome, begin = Outcome(), 0
    while begin < count:
        begin = _run_batch(parse, folder, name, words, begin, min(count, begin + BATCH), outcome)
    for number in outcome.failures:
        (folder / f"{number}-{name}").write_bytes(mutated(seeds, number))
    return outcome


def _run_batch(
    parse: Callable[[Path], None], folder: Path, name: str, words: str, begin: int, end: int, outcome: Outcome
) -> int:
    """Try files from one number to another, in one process; return the number to go on with."""
    arguments = [parse.__module__, parse.__name__, folder, name, words, begin, end]
    child = subprocess.Popen(
        [sys.executable, __file__, *map(str, arguments)],
        cwd=Path(__file__).parent,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=(folder / "stderr").open("wb"),
    )
    number = begin
    try:
        for number, what, seconds in _results(child):
            outcome.slowest = max(outcome.slowest, seconds)
            if what == "read":
                outcome.read += 1
            elif what == "refused":
                outcome.refused += 1
            else:
                outcome.failures[number] = what
            number += 1
    except TimeoutError:
        child.kill()
    status = child.wait()
    if number < end:  # it died on this one
        last = (folder / "stderr").read_bytes()[-300:].decode(errors="replace")
        reason = "hangs" if status in (-signal.SIGPROF, -signal.SIGKILL) else f"ends the process, status {status}"
        outcome.failures[number] = f"{reason}: {last}"
        number += 1
    return number


def _results(child: subprocess.Popen[bytes]) -> Iterator[tuple[int, str, float]]:
    """Yield what a process says of each file, as it says it."""
    assert child.stdout is not None
    imported = False
    while True:
        if not select.select([child.stdout], [], [], WALL if imported else 600.0)[0]:
            raise TimeoutError
        if not (line := child.stdout.readline()):
            return
        if imported:
            yield tuple(json.loads(line))
        imported = True


def mutated(seeds: Sequence[bytes], number: int) -> bytes:
    """Return the mutated file of a number."""
    rng = random.Random(number)
    content = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        rng.choice(_MUTATIONS)(rng, content, seeds)
    return bytes(content)


def _flip(rng: random.Random, content: bytearray, _: Sequence[bytes]) -> None:
    if content:
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)


def _byte(rng: random.Random, content: bytearray, _: Sequence[bytes]) -> None:
    content.insert(
        rng.randint(0, len(content)), rng.choice((0, 9, 10, 34, 39, 60, 91, 123, 128, 255, rng.randrange(256)))
    )


def _cut(rng: random.Random, content: bytearray, _: Sequence[bytes]) -> None:
    del content[rng.randint(0, len(content)) :]


def _remove(rng: random.Random, content: bytearray, _: Sequence[bytes]) -> None:
    begin = rng.randint(0, len(content))
    del content[begin : begin + rng.choice((1, 4, 30, 1000))]


def _repeat(rng: random.Random, content: bytearray, _: Sequence[bytes]) -> None:
    begin = rng.randint(0, len(content))
    part = content[begin : begin + rng.choice((1, 4, 30, 300))]
    content[begin:begin] = part * rng.choice((1, 2, 10, 1000))


def _line(rng: random.Random, content: bytearray, _: Sequence[bytes]) -> None:
    lines = content.split(b"\n")
    line = lines.pop(rng.randrange(len(lines)))
    for _copy in range(rng.choice((0, 1, 2))):
        lines.insert(rng.randint(0, len(lines)), line)
    content[:] = b"\n".join(lines)


def _number(rng: random.Random, content: bytearray, _: Sequence[bytes]) -> None:
    if found := list(re.finditer(rb"-?\d+(\.\d*)?", content)):
        where = rng.choice(found)
        content[where.start() : where.end()] = rng.choice(_NUMBERS).encode()


def _word(rng: random.Random, content: bytearray, seeds: Sequence[bytes]) -> None:
    """Put a word of one file in the place of another word."""
    words = list(re.finditer(rb"\w+", content))
    others = re.findall(rb"\w+", rng.choice(seeds))
    if words and others:
        where = rng.choice(words)
        content[where.start() : where.end()] = rng.choice(others)


def _splice(rng: random.Random, content: bytearray, seeds: Sequence[bytes]) -> None:
    other = rng.choice(seeds)
    content[rng.randint(0, len(content)) :] = other[rng.randint(0, len(other)) :]


def _encode(rng: random.Random, content: bytearray, _: Sequence[bytes]) -> None:
    text = content.decode("utf-8", "replace") + rng.choice(("", "ä", "€", "😀"))
    content[:] = text.encode(rng.choice(("utf-16", "utf-8-sig", "utf-16-le", "latin-1", "utf-32")), "replace")


_MUTATIONS = (
    _flip,
    _byte,
    _cut,
    _remove,
    _repeat,
    _line,
    _line,
    _number,
    _number,
    _number,
    _word,
    _word,
    _splice,
    _encode,
)


def _try(parse: Callable[[Path], None], file: Path, words: str) -> str:
    """Return how a parser takes a file: `read`, `refused`, or what is wrong with how it refuses."""
    try:
        parse(file)
    except (ValueError, OSError) as error:
        text = str(error)
        if file.name not in text and not (words and words in text):
            return f"{type(error).__name__} that does not name the file: {text[:300]}"
        if "\n" in text or len(text) > LONGEST:
            return f"{type(error).__name__} that is no line: {text[:300]}"
        return "refused"
    except MemoryError:
        return "takes more than 1 GiB"
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:300]}"
    return "read"


def main(module: str, function: str, folder: str, name: str, words: str, begin: str, end: str) -> None:
    """Try files in this process, and print what becomes of each."""
    parse = getattr(importlib.import_module(module), function)
    place = Path(folder)
    seeds = [file.read_bytes() for file in sorted(place.glob("seed*"), key=lambda file: int(file.name[4:]))]
    had = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (had + MEMORY, had + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    output = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what parsers print is not ours
    output.write("imported\n")
    file = place / name
    for number in range(int(begin), int(end)):
        file.write_bytes(mutated(seeds, number))
        began = time.monotonic()
        signal.setitimer(signal.ITIMER_PROF, CPU)  # its signal ends the process, also in a loop in C
        what = _try(parse, file, words)
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        output.write(json.dumps([number, what, time.monotonic() - began]) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
