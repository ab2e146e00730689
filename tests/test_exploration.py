"""Random exploration stays in the box, reaches all of it, and holds each direction for some steps."""

import numpy as np
import pytest

from rig_robot.checkpoints.config import ActionEntry, WorkspaceEntry
from rig_robot.inference.exploration import Explorer

STICKY = 10
XY = ActionEntry(("x", "y"), 0.02, 0.1, {"z": 0.15}, (0.0, 1.0, 0.0, 0.0))
XYZ = ActionEntry(("x", "y", "z"), 0.02, 0.1, {}, (0.0, 1.0, 0.0, 0.0))
PLANE = WorkspaceEntry((0.45, -0.20, 0.15), (0.75, 0.20, 0.15))
SPACE = WorkspaceEntry((0.45, -0.20, 0.12), (0.75, 0.20, 0.37))


def walk(action: ActionEntry, box: WorkspaceEntry, seed: int, steps: int = 850) -> np.ndarray:
    """Return the places [steps, A] of an arm that follows exactly and is never reset."""
    explorer = Explorer(action, box, STICKY, np.random.default_rng(seed))
    place, places = (np.array(box.low) + box.high) / 2, []
    for _ in range(steps):
        moved = explorer.act(place)
        assert moved.dtype == np.float32 and (np.abs(moved) <= 1).all()
        place[: len(moved)] += action.scale_m * moved
        places.append(place[: len(moved)].copy())
    return np.array(places)


@pytest.mark.parametrize(("action", "box"), [(XY, PLANE), (XYZ, SPACE)])
def test_an_exploring_arm_stays_in_the_box(action: ActionEntry, box: WorkspaceEntry) -> None:
    low, high = (np.array(bound)[: len(action.axes)] for bound in (box.low, box.high))
    for seed in range(5):
        places = walk(action, box, seed)
        assert (places > low - 1e-4).all() and (places < high + 1e-4).all()


def test_an_exploring_arm_sees_the_edges_of_the_table_and_does_not_stick_to_them() -> None:
    """Goals where nothing was explored are missed by centimetres."""
    low, high = np.array(PLANE.low[:2]), np.array(PLANE.high[:2])
    places = np.stack([walk(XY, PLANE, seed) for seed in range(20)])
    near = np.minimum(places - low, high - places).min(axis=2) < 0.02
    area = 1 - np.prod(high - low - 0.04) / np.prod(high - low)
    assert 0.8 * area < near.mean() < 1.4 * area
    edges = [np.linspace(start, end, count) for start, end, count in zip(low, high, (7, 9), strict=True)]
    cells = [np.histogram2d(run[:, 0], run[:, 1], bins=edges)[0] for run in places]
    assert np.mean([(cell < 4).sum() for cell in cells]) < 5, "of 48 cells of 5 cm"


def test_a_direction_is_held_and_then_another_one_comes() -> None:
    explorer = Explorer(XY, PLANE, STICKY, np.random.default_rng(0))
    actions = np.array([explorer.act(np.array([0.6, 0.0, 0.15])) for _ in range(5 * STICKY)])
    held = actions.reshape(5, STICKY, 2)
    assert (held == held[:, :1]).all() and len(np.unique(held[:, 0], axis=0)) == 5


def test_an_arm_that_overshot_the_box_comes_back_and_one_that_nobody_measures_moves_all_the_same() -> None:
    for seed in range(20):
        explorer = Explorer(XY, PLANE, 1, np.random.default_rng(seed))
        outside = np.array([0.756, 0.203, 0.15])
        action = explorer.act(outside)
        assert (action[:2] < 0).all() and (action >= -1).all()
    blind = Explorer(XY, PLANE, STICKY, np.random.default_rng(0)).act(None)
    assert blind.any() and (np.abs(blind) <= 1).all()
