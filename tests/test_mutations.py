"""The mutants of `benchmarks/mutations.py` name checks that are there: a moved check does not fall out of the list."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from mutations import MUTANTS, source_of


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant[0])
def test_each_mutant_takes_out_one_check_that_is_there(mutant: tuple[str, str, str]) -> None:
    _, old, new = mutant
    compile(source_of(old).read_text().replace(old, new), "mutant", "exec")
