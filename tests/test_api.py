"""docs/api.md is true: every name on it can be imported, and every example on it runs as it stands."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import gymnasium
import pytest

import rig_sim  # noqa: F401  (registers the environments)
from rig_robot.learning.arguments import TrainArgs
from rig_robot.learning.representations.base import Representation

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from standin.episodes import write

PAGE = (Path(__file__).parents[1] / "docs" / "api.md").read_text()
EXAMPLES = dict(re.findall(r"^## ([^\n]+)\n(?:(?!^## ).)*?^```python\n(.*?)^```$", PAGE, re.M | re.S))
TABLE = [
    (module, re.findall(r"`(\w+)`", names)) for module, names in re.findall(r"^\| `([\w.]+)` \| (.+) \|$", PAGE, re.M)
]


def test_the_page_is_read_whole() -> None:
    assert len(EXAMPLES) == PAGE.count("```python") == PAGE.count("\n## ") == 7 and len(TABLE) == 18


@pytest.mark.parametrize(("module", "names"), TABLE, ids=[module for module, _ in TABLE])
def test_every_public_name_can_be_imported(module: str, names: list[str]) -> None:
    found = importlib.import_module(module)
    if module != "rig_sim":  # whose names on the page are environments
        assert names and not [name for name in names if not hasattr(found, name)]
    for name in re.findall(r"`(Rig\w+-v0)`", PAGE):
        assert name in gymnasium.registry


@pytest.mark.parametrize("title", EXAMPLES)
def test_every_example_runs_in_an_empty_directory(title: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a process of its own, as a reader would run it: examples must not lean on each other or on this test."""
    write(tmp_path / "episodes", steps=8)
    (tmp_path / "example.py").write_text(EXAMPLES[title])
    ended = subprocess.run([sys.executable, "example.py"], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout or "print(" not in EXAMPLES[title]


def test_the_example_of_a_representation_is_one() -> None:
    space: dict[str, type[Representation]] = {}
    exec(EXAMPLES["A representation of your own"], space)
    assert space["Colour"](TrainArgs(out=Path("unused")), 2).size == 3


def test_no_example_imports_what_the_page_does_not_name() -> None:
    public = {module: set(names) for module, names in TABLE}
    for title, code in EXAMPLES.items():
        for module, names in re.findall(r"^from (rig_\S+) import (.+)$", code, re.M):
            assert set(names.split(", ")) <= public.get(module, set()), f"{title}: {module}"
