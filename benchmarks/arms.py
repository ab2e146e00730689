"""Draw every arm of config/arms as its kinematics see it: collision shapes, rest posture, workspace box.

python benchmarks/arms.py --out docs/pictures/arms.png
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import rig_sim  # noqa: F401  chooses how MuJoCo draws, before that is imported

# isort: split
import matplotlib.pyplot as plt
import mujoco
import numpy as np
import tyro
from numpy.typing import NDArray

from rig_robot.bringup.arm_presets import arm_parameters, presets
from rig_robot.bringup.node_spec import Parameters
from rig_robot.common.output_paths import check_file
from rig_robot.common.package_files import locate

BOX = (0.16, 0.47, 0.80, 0.30)
LINK = (0.80, 0.79, 0.76, 1.0)
SIZE = 480


@dataclass(frozen=True)
class Arguments:
    """What is drawn where."""

    out: Path = Path("docs/pictures/arms.png")
    """The picture."""


def picture(preset: Parameters) -> NDArray[np.uint8]:
    """Return the arm at rest above its table, uint8 [SIZE, SIZE, 3] RGB."""
    spec = mujoco.MjSpec.from_file(str(locate(preset["description"])))
    for geom in spec.geoms:
        shape = bool(geom.contype or geom.conaffinity)
        geom.group, geom.rgba = (0, LINK) if shape else (5, LINK)
    world, geoms = spec.worldbody, mujoco.mjtGeom
    spec.visual.headlight.ambient, spec.visual.headlight.diffuse = [0.35] * 3, [0.55] * 3
    spec.visual.global_.offwidth = spec.visual.global_.offheight = SIZE
    table = preset["table_height"]
    world.add_geom(type=geoms.mjGEOM_PLANE, size=[0.9, 0.7, 0.1], pos=[0.3, 0, table], rgba=[0.80, 0.83, 0.80, 1])
    low, high = np.array(preset["workspace_low"]), np.array(preset["workspace_high"])
    world.add_geom(type=geoms.mjGEOM_BOX, size=(high - low) / 2, pos=(low + high) / 2, rgba=BOX)
    spec.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_FLAT,
        rgb1=[1, 1, 1],
        rgb2=[1, 1, 1],
        width=8,
        height=48,
    )
    world.add_light(pos=[-0.5, -1.5, 3], dir=[0.2, 0.5, -1])
    spec.compiler.discardvisual = False  # a URDF's default, which would take the sky
    spec.compiler.boundmass = spec.compiler.boundinertia = 1e-3
    model = spec.compile()
    data = mujoco.MjData(model)
    for joint, angle in zip(preset["joints"], preset["rest"], strict=True):
        data.joint(joint).qpos = angle
    mujoco.mj_forward(model, data)
    camera = mujoco.MjvCamera()
    camera.lookat, camera.distance, camera.azimuth, camera.elevation = np.array([0.30, 0.0, 0.30]), 1.45, 125, -20
    options = mujoco.MjvOption()
    options.geomgroup[:] = [1, 0, 0, 1, 0, 0]
    with mujoco.Renderer(model, SIZE, SIZE) as renderer:
        renderer.update_scene(data, camera, options)
        renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = False  # the box would throw one
        return renderer.render()


def main(arguments: Arguments) -> None:
    """Draw them side by side."""
    check_file("out", arguments.out)
    names = presets()
    figure, axes = plt.subplots(1, len(names), figsize=(3.0 * len(names), 3.5))
    for name, axis in zip(names, axes, strict=True):
        preset = arm_parameters({"preset": name}, Path("robot.yaml"))
        axis.imshow(picture(preset))
        size = 100 * (np.array(preset["workspace_high"]) - preset["workspace_low"])
        axis.set_title(f"{name}\nbox {size[0]:.0f} x {size[1]:.0f} x {size[2]:.0f} cm", fontsize=11, pad=6)
        axis.axis("off")
    figure.tight_layout()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(arguments.out, dpi=100, bbox_inches="tight")
    plt.close(figure)
    print(f"{arguments.out}: {arguments.out.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main(tyro.cli(Arguments))
