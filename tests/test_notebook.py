"""The notebook in examples/ runs on recorded episodes, and what is stored in it comes from a run of its cells."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from test_trainer_node import record

NOTEBOOK = Path(__file__).parents[1] / "examples" / "vae_on_a_bag.ipynb"
LARGEST = 300_000
"""Largest file in the repository for what is but an example [bytes]."""


def cells() -> list[dict[str, Any]]:
    """Return the cells with code."""
    content = json.loads(NOTEBOOK.read_text())
    assert content["nbformat"] == 4
    return [cell for cell in content["cells"] if cell["cell_type"] == "code"]


@pytest.mark.slow
def test_the_cells_run_one_after_the_other_and_the_vae_learns(tmp_path: Path) -> None:
    """As programs without a kernel: Jupyter adds nothing that these cells need, and is no dependency of the tests."""
    for seed in range(3):
        record(tmp_path / "episodes", f"2026010{seed + 1}T000000Z-abcdef", seed)
    code = "\n".join("".join(cell["source"]) for cell in cells())
    (tmp_path / "cells.py").write_text(f"{code}\nassert np.mean(errors[-10:]) < 0.85 * np.mean(errors[:10]), errors\n")
    given = os.environ | {"MPLBACKEND": "Agg", "UPDATES": "60"}
    ended = subprocess.run(
        [sys.executable, "cells.py"], cwd=tmp_path, env=given, capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert "3 episodes, 0 broken" in ended.stdout and "squared error of a picture" in ended.stdout


def test_the_stored_notebook_was_run_from_its_first_to_its_last_cell_and_is_small() -> None:
    assert [cell["execution_count"] for cell in cells()] == list(range(1, len(cells()) + 1))
    kinds = [output["output_type"] for cell in cells() for output in cell["outputs"]]
    assert kinds.count("display_data") == 2 and "error" not in kinds
    assert NOTEBOOK.stat().st_size < LARGEST
