"""Draw the example goals of `rig goal --example`: what the simulated camera sees with the arm in five places.

python docs/draw_example_goals.py
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from rig_robot.arm.kinematics import TOOL_DOWN
from rig_sim.world import CAMERA_SIZE, FIXED_HEIGHT, HOME, Camera, World, kinematics, view

PLACES = ((0.50, -0.15), (0.50, 0.15), (0.60, 0.0), (0.70, -0.15), (0.70, 0.15))
"""Of the tool, x and y (m, base frame)"""
FOLDER = Path(__file__).parents[1] / "rig_robot" / "example_goals"


def main() -> None:
    """Write the pictures."""
    world, arm = World(), kinematics()
    camera = Camera(world.model, *CAMERA_SIZE, view("xy"))
    FOLDER.mkdir(exist_ok=True)
    for number, place in enumerate(PLACES, start=1):
        picture = camera.render(world.at_rest(arm.solve(HOME, np.append(place, FIXED_HEIGHT), TOOL_DOWN)))
        cv2.imwrite(str(FOLDER / f"goal_{number}.png"), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    camera.close()


if __name__ == "__main__":
    main()
