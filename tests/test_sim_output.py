"""What a simulation shows of itself: a film of the run, and how far a practice is."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rig_sim.film import MOST, PERIOD, Film
from rig_sim.practice_node import progress_line


def picture(grey: int) -> np.ndarray:
    return np.full((480, 640, 3), grey, np.uint8)


@pytest.mark.slow
def test_a_film_has_the_view_beside_the_goal_four_times_a_second_for_a_minute(tmp_path: Path) -> None:
    film = Film()
    for number in range(3 * MOST):
        film.add(number * PERIOD / 2, picture(number % 200), picture(250))
    assert film.save(tmp_path / "run.gif")
    with Image.open(tmp_path / "run.gif") as kept:
        assert kept.n_frames == MOST and kept.size == (644, 240)
        kept.seek(10)
        pixels = np.asarray(kept.convert("RGB"))
        assert pixels[120, 100].tolist() == [20] * 3 and pixels[120, 500].tolist() == [250] * 3


def test_a_film_of_nothing_is_not_written(tmp_path: Path) -> None:
    assert not Film().save(tmp_path / "run.gif") and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("done", "limit", "seconds", "line"),
    [
        (0, 2500, 10.0, "[....................] 0 of 2500 robot steps"),
        (1250, 2500, 300.0, "[##########..........] 1250 of 2500 robot steps, about 5 min left"),
        (2600, 2500, 600.0, "[####################] 2600 of 2500 robot steps, about 0 min left"),
        (850, 0, 120.0, "850 robot steps practised in 2 min"),
    ],
)
def test_a_practice_says_how_far_it_is_and_how_long_it_takes(done: int, limit: int, seconds: float, line: str) -> None:
    assert progress_line(done, limit, seconds) == line
