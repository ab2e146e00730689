"""Makes the calibration message of a camera, whose frames may have been turned."""

from typing import Any

from sensor_msgs.msg import CameraInfo

from rig_robot.cameras.driver import Lens


def describe(lens: Lens | None, shape: tuple[int, ...], rotation: int) -> CameraInfo:
    """Return the calibration of turned frames; all zero where it is unknown, as `CameraInfo` defines it.

    Args:
        lens: Calibration of the frames before they were turned; None where it is unknown.
        shape: Shape of the turned frames, [H, W, 3].
        rotation: Degrees by which they were turned clockwise: 0, 90, 180 or 270.
    """
    height, width = shape[:2]
    info = CameraInfo(width=width, height=height)
    if lens is None:
        return info
    (fx, fy), (cx, cy) = lens.focal, lens.centre
    # A clockwise quarter takes the pixel (x, y) of a picture of height H to (H - 1 - y, x).
    before = (height, width) if rotation in (0, 180) else (width, height)
    for _ in range(rotation // 90):
        cx, cy, fx, fy = before[0] - 1 - cy, cx, fy, fx
        before = before[1], before[0]
    info.distortion_model, info.d = lens.model, list(lens.distortion)
    if rotation and len(info.d) >= 4:
        info.d = _turned_distortion(info.d, rotation)
    info.k = [fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0]
    info.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    info.p = [fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0]
    return info


def _turned_distortion(distortion: Any, rotation: int) -> list[float]:
    """Turn the tangential part, p1 and p2 of k1 k2 p1 p2 k3; the radial part does not change."""
    k1, k2, p1, p2, *rest = distortion
    for _ in range(rotation // 90):
        p1, p2 = p2, -p1
    return [k1, k2, p1, p2, *rest]
