"""Whether the object is where it can be pushed, told from latents alone.

What would be broken: a robot that goes on practising with nothing to push, that stops for one misread picture or for
its own arm, or that waits for ever.
"""

import numpy as np
import pytest

from rig_robot.inference.object_memory import UNSURE
from rig_robot.inference.object_watch import BACK_S, CLEAR, MARGIN, OUTSIDE_S, UNSEEN_S, ObjectWatch
from rig_robot.inference.places import Places

FRAME_S = 1 / 30
LOW, HIGH = np.array([-9, -12, -5, -8], np.float32), np.array([9, 12, 5, 8], np.float32)
FAR = (-9.0, -12.0)


class Table:
    """Shows a watch what the encoder would say."""

    def __init__(self) -> None:
        self.watch, self.now = ObjectWatch(Places(LOW, HIGH, 1.8, 2)), 1000.0

    def show(
        self,
        seconds: float,
        place: tuple[float, float] | None,
        tool: tuple[float, float] | None = None,
        frame: float = FRAME_S,
        moves: tuple[float, float] = (4.0, 4.0),
    ) -> str:
        """Show the object at a place for so long, or None: not clearly, and read anywhere; return why it is gone.

        The tool stays at a place, or goes about in a corner, so far along each axis.
        """
        rng = np.random.default_rng(0)
        for number in range(round(seconds / frame)):
            self.now += frame
            x, y = tool or (FAR[0] + moves[0] * (number % 2), FAR[1] + moves[1] * (number // 2 % 2))
            seen = rng.uniform(-9, 9, 2) if place is None else place
            log_variance = np.full(4, -8.0, np.float32)
            if place is None:
                log_variance[2:] = UNSURE
            self.watch.see(self.now, np.array([x, y, *seen], np.float32), log_variance)
        return self.watch.gone


@pytest.fixture
def table() -> Table:
    table = Table()
    assert not table.show(2.0, (0.0, 0.0))
    return table


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("side", [-1, 1])
def test_an_object_outside_is_gone_and_back_inside_it_is_back(table: Table, axis: int, side: int) -> None:
    edge = [0.0, 0.0]
    edge[axis] = side * float(HIGH[2 + axis])
    inside, outside = list(edge), list(edge)
    inside[axis] += side * 0.9 * MARGIN
    outside[axis] += side * 1.1 * MARGIN
    assert not table.show(10.0, (inside[0], inside[1])), "at the edge it can still be pushed"
    assert not table.show(0.8 * OUTSIDE_S, (outside[0], outside[1]))
    assert "outside" in table.show(0.4 * OUTSIDE_S, (outside[0], outside[1]))
    assert table.show(30.0, (outside[0], outside[1])), "it waits for as long as it takes"
    assert table.show(0.8 * BACK_S, (1.0, 1.0)), "a hand that holds it for a moment has not put it there"
    assert not table.show(0.4 * BACK_S, (1.0, 1.0))


def test_single_pictures_that_are_misread_count_for_nothing(table: Table) -> None:
    for _ in range(100):
        table.show(FRAME_S, (20.0, 20.0))
        assert not table.show(5 * FRAME_S, (0.0, 0.0))


def test_an_object_that_the_arm_hides_is_not_gone_and_one_that_nothing_hides_is(table: Table) -> None:
    beside = (0.9 * CLEAR, 0.0)
    assert not table.show(60.0, None, tool=beside), "the arm is before it"
    assert not table.show(0.8 * UNSEEN_S, None)
    assert "does not see" in table.show(0.4 * UNSEEN_S, None)
    assert table.show(30.0, None)
    assert not table.show(1.2 * BACK_S, (-3.0, 4.0))


@pytest.mark.parametrize("moves", [(0.0, 0.0), (18.0, 0.0), (0.0, 24.0), (0.6 * 4.0, 4.0)])
def test_an_object_behind_a_tool_that_stands_or_moves_along_the_line_of_sight_is_not_gone(
    table: Table, moves: tuple[float, float]
) -> None:
    assert not table.show(60.0, None, moves=moves)
    assert "does not see" in table.show(1.2 * UNSEEN_S, None)


def test_seeing_it_now_and_then_is_enough(table: Table) -> None:
    for _ in range(20):
        table.show(0.8 * UNSEEN_S, None)
        assert not table.show(FRAME_S, (0.0, 0.0))


def test_a_table_that_never_had_an_object_is_noticed() -> None:
    assert "does not see" in Table().show(1.2 * UNSEEN_S, None)


def test_a_camera_that_stood_still_tells_nothing_of_the_time_between(table: Table) -> None:
    table.show(FRAME_S, (20.0, 20.0))
    table.now += 3600.0
    table.show(FRAME_S, (20.0, 20.0))
    assert not table.watch.gone
    table.now -= 7200.0  # a clock that is set back
    assert not table.show(0.3, (20.0, 20.0))


def test_objects_behind_which_the_tool_cannot_get_are_no_goals() -> None:
    rng = np.random.default_rng(0)
    reach = np.array([9, 12], np.float32)
    seen = np.concatenate((rng.uniform(-reach, reach, (5000, 2)), rng.uniform(-20, 20, (5000, 2))), axis=1)
    seen[:, 3] = rng.uniform(-2, 3, 5000)  # along this axis it never came so far
    places = Places.fit(seen.astype(np.float32), reach, room=3.25)
    assert places.low[2:].tolist() == pytest.approx([-5.75, -2.0], abs=0.1)
    assert places.high[2:].tolist() == pytest.approx([5.75, 3.0], abs=0.1)
    assert (places.high[:2] == reach).all()
