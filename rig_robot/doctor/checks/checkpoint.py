"""Checks the checkpoint: whether it loads, fits the arm's box, and is fast enough on this machine."""

from __future__ import annotations

import time

import numpy as np

from rig_robot.doctor.check_result import Finding, fail, ok, warn
from rig_robot.doctor.configured_arm import limits
from rig_robot.doctor.examined_system import ExaminedSystem
from rig_robot.inference.numpy_networks import Encoder, Policy

SHARE = 0.5
"""Share of a frame's period that encoder and policy may take; camera, arm and DDS need the rest."""
CAMERA_RATE = 30.0
"""Assumed rate of the camera [Hz]."""


def loads(system: ExaminedSystem) -> Finding:
    """Check whether both networks are the files that config.json names, and belong together."""
    name = "checkpoint"
    Encoder(system.checkpoint)
    config = Policy(system.checkpoint).config
    return ok(
        name,
        f"{system.checkpoint.name} of {config.created}: vae/{config.vae_id}, sha256 of both files right; "
        f"{config.camera.image_size}x{config.camera.image_size} pixels, axes {''.join(config.action.axes)}",
    )


def fits(system: ExaminedSystem) -> Finding:
    """Check whether the policy's workspace lies in the box, and its steps below the box's speed."""
    name = "workspace"
    trained = system.trained
    try:
        bounds = limits(system, trained)
    except ValueError as error:
        return fail(
            name, str(error), "the arm node would refuse to start: widen the box if the arm may go there, else retrain"
        )
    steps = trained.action.scale_m / trained.action.period_s
    text = f"the policy's, {list(trained.workspace.low)} to {list(trained.workspace.high)} m, is inside the box"
    if bounds.tool_speed < steps:
        return warn(
            name,
            f"{text}; tool_speed {bounds.tool_speed:g} m/s is below the policy's {steps:g} along an axis",
            "good for the first day; then raise tool_speed: the policy was trained with steps that are not cut short",
        )
    return ok(name, f"{text}; its steps ({steps:g} m/s along an axis) are allowed")


def latency(system: ExaminedSystem, repeats: int = 60) -> Finding:
    """Measure how long an image takes to become an action on this machine, with cold caches as in a running system."""
    name = "inference"
    encoder, policy = Encoder(system.checkpoint), Policy(system.checkpoint)
    size = encoder.config.camera.image_size
    image = np.random.default_rng(0).integers(0, 255, (size, size, 3), np.uint8)
    taken = []
    for _ in range(repeats + 1):
        time.sleep(0.005)  # nodes wake for each frame: what runs without a pause is quicker than they are
        begin = time.perf_counter()
        latent, _ = encoder.encode(image)
        policy.act(latent, latent)
        taken.append(time.perf_counter() - begin)
    middle, high = 1e3 * np.percentile(taken[1:], (50, 95))
    period = 1e3 / CAMERA_RATE
    text = f"image to action {middle:.1f} ms (median), {high:.1f} (95 %); a frame comes every {period:.0f} ms"
    if middle > SHARE * period:
        return fail(
            name,
            text,
            "take a smaller image or network, a faster machine, or OMP_NUM_THREADS=1 where other processes compute",
        )
    if high > SHARE * period:
        return warn(name, text, "stop what else computes on this machine")
    return ok(name, text)
