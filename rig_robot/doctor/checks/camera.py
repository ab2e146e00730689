"""Checks the camera: its frames, their rate and shape, light, focus, and whether the view is the trained one."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rig_robot.cameras.capture import turned
from rig_robot.cameras.registry import DRIVERS
from rig_robot.doctor.check_result import Finding, fail, ok, warn
from rig_robot.doctor.examined_system import ExaminedSystem
from rig_robot.doctor.heard import full_name
from rig_robot.ros.frame_loss import cure
from rig_robot.vision.image_decoding import from_compressed, from_raw
from rig_robot.vision.observation import ASPECT_TOLERANCE, Crop, prepare
from rig_robot.vision.view_check import compare, reference
from rig_robot.vision.view_plot import picture as draw
from rig_robot.vision.view_plot import write_picture

LOOKED_AT = 120
"""Side of the picture in which sharpness is measured [pixels]: two to three times an observation. A blur that does not
show there does not reach the encoder, and the noise of single pixels has averaged out."""
SHARP, BLURRED = 0.025, 0.008
"""Variance of the Laplacian over that of the picture, above which it is sharp and below which it is not. The simulated
camera's 640x480 frame has 0.15; blurred by 3 pixels 0.023, by 5 pixels 0.008."""
AS_STEEP = 0.75
"""Steepness of edges that stand still, relative to the reference's, below which the picture is blurred. The simulated
frame blurred by 3 pixels has 0.82, by 4 pixels 0.68, by 8 pixels 0.43."""
ALWAYS = 200
"""Share of the training's observations, of 255, in which a pixel must have shown the static scene to stand still."""
UNLIKE = 20
"""Difference from the reference above which a pixel shows something else [grey levels]."""
LEAST_EDGES = 2.0
"""Standard deviation of the reference's Laplacian below which it has too few edges."""
DARK, BRIGHT = 8, 247
"""Grey levels at and beyond which a pixel is black or white."""
CLIPPED = 0.25
"""Share of black or white pixels above which there is a warning."""
LEAST_CONTRAST = 4.0
"""Standard deviation of the grey levels below which the picture is empty."""


def frames(system: ExaminedSystem) -> Finding:
    """Check whether frames arrive, as often as they should and of the checkpoint's camera."""
    name = "camera"
    heard = system.heard.frames
    if not heard.arrivals:
        return _no_frames(name, system)
    wanted = system.trained.camera
    try:
        picture = _picture(system, heard.last)
    except ValueError as error:
        return fail(name, f"{system.image_topic}: {error}", "set the driver to rgb8 or bgr8")
    height, width = picture.shape[:2]
    text = f"{width}x{height} at {heard.rate:.1f} Hz{' (opened for this)' if system.heard.temporary_camera else ''}"
    crop = _crop(system)
    aspect = width * crop.width / (height * crop.height)
    expected = wanted.width * wanted.crop[2] / (wanted.height * wanted.crop[3])
    if abs(aspect / expected - 1) > ASPECT_TOLERANCE:
        return fail(
            name,
            f"{text}; the checkpoint was trained on frames of the aspect of {wanted.width}x{wanted.height}",
            f"set the driver to {wanted.width}x{wanted.height} (or a size of that aspect), or train on this camera",
        )
    action_rate = 1.0 / system.trained.action.period_s
    driver = DRIVERS.get(system.source)
    configured = float(system.camera.get("fps", 30)) if driver is not None and driver.has_sensor else 0.0
    loss = heard.loss() if system.source == "topic" else None
    if loss is not None:
        worse = fail if heard.rate < action_rate else warn
        return worse(name, f"{width}x{height}: {loss.text()}", loss.cure(system.heard.implementation))
    if heard.rate < action_rate:
        return fail(
            name,
            f"{text}; the policy acts {action_rate:g} times a second",
            "raise the driver's rate; a fixed short exposure (auto exposure halves the rate in the dark); USB 3, not 2",
        )
    if configured and heard.rate < 0.8 * configured:
        return warn(
            name,
            f"{text}; configured {configured:g} Hz",
            "frames are lost or exposed too long: USB 3, a shorter exposure, less load, the DDS profile",
        )
    if heard.longest_gap > 3 * system.trained.action.period_s:
        return warn(
            name,
            f"{text}; longest gap {1e3 * heard.longest_gap:.0f} ms",
            "the arm stops in such a gap: look for load, USB power saving and cables",
        )
    return ok(name, text)


def _no_frames(name: str, system: ExaminedSystem) -> Finding:
    """Return why no frame has arrived."""
    heard = system.heard
    node = full_name("camera", system.options.namespace)
    publishers = heard.publishers.get(system.image_topic, [])
    if system.source == "topic" and publishers:
        names = ", ".join(sorted({publisher.node for publisher in publishers}))
        return fail(
            name,
            f"{names} publishes {system.image_topic}, but no frame arrives",
            f"{cure(heard.implementation)}; see its log",
        )
    if system.source == "topic":
        starts = "rig sim" if system.options.sim else f"the camera's driver, remapped to {system.image_topic}"
        return warn(name, f"not running: nobody publishes {system.image_topic} (source topic)", f"start {starts}")
    why = heard.health.get(node, (0, "the camera node did not start: run it to see why"))[1]
    return fail(
        name,
        f"no frame of source {system.source}: {why}",
        "plug it in (lsusb; USB 3), see that no other program has it open, and that you may (groups video, plugdev)",
    )


def exposure(system: ExaminedSystem) -> Finding:
    """Check whether the observed part of the frame is neither too dark nor too bright."""
    name = "exposure"
    observed = _observed(system)
    if observed is None:
        return warn(name, "not running: no frame", f"start {system.start}")
    grey = cv2.cvtColor(observed, cv2.COLOR_RGB2GRAY)
    dark, bright = float((grey <= DARK).mean()), float((grey >= BRIGHT).mean())
    text = f"mean {grey.mean():.0f} of 255, {dark:.0%} black, {bright:.0%} white"
    if grey.std() < LEAST_CONTRAST:
        return fail(
            name,
            f"{text}: nothing is in the picture",
            "take the lens cap off, switch the light on, fix the exposure; restart a driver that sends empty frames",
        )
    if dark > CLIPPED or bright > CLIPPED:
        low = dark > bright
        return warn(
            name,
            text,
            f"{'raise' if low else 'lower'} the exposure (a fixed one) or the light: "
            f"what is {'black' if low else 'white'} looks the same to the encoder wherever the arm is",
        )
    return ok(name, text)


def focus(system: ExaminedSystem) -> Finding:
    """Check whether the observed part of the frame is as sharp as the encoder needs it."""
    name = "focus"
    observed = _observed(system)
    if observed is None:
        return warn(name, "not running: no frame", f"start {system.start}")
    value = sharpness(observed)
    text = f"sharpness {value:.3f} (variance of the Laplacian over the picture's, {LOOKED_AT} pixels wide)"
    as_trained = _edges_beside_the_references(system)
    if as_trained is not None:
        text += f"; edges that stand still are {as_trained:.0%} as steep as the checkpoint's"
    advice = (
        "focus by hand and fix it (v4l2-ctl -c focus_automatic_continuous=0), clean the lens; a bare table without any "
        "texture also counts as blurred: judge by the picture"
    )
    if not value >= BLURRED:
        return fail(name, f"{text}: below {BLURRED}", advice)
    if value < SHARP:
        return warn(name, f"{text}: below {SHARP}", advice)
    if as_trained is not None and as_trained < AS_STEEP:
        return warn(name, f"{text}: below {AS_STEEP:.0%}", advice)
    return ok(name, text)


def sharpness(observed: NDArray[np.uint8]) -> float:
    """Return the variance of the Laplacian over the variance of a picture, uint8 [S, S, 3]; NaN where it is uniform."""
    spread = float(cv2.cvtColor(observed, cv2.COLOR_RGB2GRAY).astype(np.float32).var())
    return float(_laplacian(observed).var()) / spread if spread > 1e-3 else float("nan")


def _laplacian(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return np.asarray(cv2.Laplacian(grey, cv2.CV_32F), np.float32)


def _edges_beside_the_references(system: ExaminedSystem) -> float | None:
    """Return the steepness of the static scene's edges, relative to the checkpoint's reference.

    None where there is no reference, or where none of the static scene is in view.
    """
    known = reference(system.checkpoint)
    if known is None:
        return None
    size = system.trained.camera.image_size
    today = prepare(_picture(system, system.heard.frames.last), _crop(system), size)
    # Pixels where the arm was or is, and their neighbours, are left out.
    alike = np.abs(today.astype(np.int16) - known.median).max(axis=-1) < UNLIKE
    still = cv2.erode((alike & (known.steady > ALWAYS)).astype(np.uint8), np.ones((3, 3))) > 0
    if still.sum() < 1:
        return None
    then, now = (float(_laplacian(picture)[still].std()) for picture in (known.median, today))
    return now / then if then > LEAST_EDGES else None


def view(system: ExaminedSystem) -> Finding:
    """Check whether the camera sees the scene that the checkpoint was made from, from where it stood then."""
    name = "view"
    known = reference(system.checkpoint)
    if known is None and system.trained.format > 1:
        return ok(
            name, "not compared: most of the room did not stand still while the robot explored; look at what it sees"
        )
    if known is None:
        return warn(
            name,
            "the checkpoint has no picture of its scene: whether the camera has moved cannot be told",
            "train it with this version of `rig train`, which keeps one; until then, look at what it sees",
        )
    kept = system.heard.frames.kept
    if not kept:
        return warn(name, "not running: no frame", f"start {system.start}")
    size, crop = system.trained.camera.image_size, _crop(system)
    today = np.stack([prepare(_picture(system, message), crop, size) for message in kept])
    change = compare(known, today)
    drawn = ""
    if system.options.picture is not None:
        write_picture(system.options.picture, draw(known, today, change))
        drawn = f"; see {system.options.picture}"
    text = "; ".join(change.problems) or "as the checkpoint's camera saw it"
    if change.blind:
        text += f" (a shift {' or '.join(change.blind)} would not show: nothing in sight tells)"
    if change.problems:
        return warn(
            name,
            text + drawn,
            "put the camera back where it stood (--picture FILE shows both views), light and exposure too, or "
            "train anew: an encoder sees a moved camera as a moved arm",
        )
    return ok(name, text + drawn)


def _observed(system: ExaminedSystem) -> NDArray[np.uint8] | None:
    """Return the observed part of the newest frame, uint8 [S, S, 3] RGB, S = `LOOKED_AT`; None where none arrived."""
    message = system.heard.frames.last
    return None if message is None else prepare(_picture(system, message), _crop(system), LOOKED_AT)


def _picture(system: ExaminedSystem, message: Any) -> NDArray[np.uint8]:
    """Return a frame before the crop, uint8 [H, W, 3] RGB."""
    picture = from_raw(message) if hasattr(message, "encoding") else from_compressed(bytes(message.data))
    # The camera node turns its own camera's frames before it publishes them.
    return turned(picture, int(system.camera.get("rotation", 0))) if system.source == "topic" else picture


def _crop(system: ExaminedSystem) -> Crop:
    return Crop(*system.camera.get("crop", system.trained.camera.crop))
