"""Makes `visualization_msgs/Marker` messages of the workspace, of where the tool is sent and of its path."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

from geometry_msgs.msg import Point
from numpy.typing import ArrayLike
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker

from rig_robot.arm.commands import Vector

GREY, ORANGE, BLUE = (0.6, 0.6, 0.6, 0.8), (1.0, 0.55, 0.0, 0.9), (0.2, 0.5, 1.0, 0.9)
"""Red, green, blue and opacity, 0 to 1"""


def box(header: Header, low: Vector, high: Vector) -> Marker:
    """Make the edges of a box, of which low and high [3] m are two opposite corners."""
    marker = _marker(header, "workspace", Marker.LINE_LIST, 0.003, GREY)
    corners = list(itertools.product(*zip(low, high, strict=True)))
    edges = [
        (one, other)
        for one, other in itertools.combinations(corners, 2)
        if sum(a != b for a, b in zip(one, other, strict=True)) == 1
    ]
    marker.points = [_point(corner) for edge in edges for corner in edge]
    return marker


def target(header: Header, position: ArrayLike | None) -> Marker:
    """Make a ball where the tool is sent, [3] m; None removes it."""
    marker = _marker(header, "target", Marker.SPHERE, 0.02, ORANGE)
    marker.scale.y = marker.scale.z = marker.scale.x
    if position is None:
        marker.action = Marker.DELETE
    else:
        marker.pose.position = _point(position)
    return marker


def path(header: Header, positions: Iterable[ArrayLike]) -> Marker:
    """Make the line through positions of the tool, each [3] m, oldest first; fewer than two remove it."""
    marker = _marker(header, "path", Marker.LINE_STRIP, 0.004, BLUE)
    marker.points = [_point(position) for position in positions]
    if len(marker.points) < 2:
        marker.points, marker.action = [], Marker.DELETE
    return marker


def _marker(header: Header, name: str, kind: int, size: float, colour: tuple[float, float, float, float]) -> Marker:
    marker = Marker(header=header, ns=name, id=0, type=kind, action=Marker.ADD)
    marker.pose.orientation.w = 1.0
    marker.scale.x = size
    red, green, blue, opacity = colour
    marker.color = ColorRGBA(r=red, g=green, b=blue, a=opacity)
    return marker


def _point(position: Any) -> Point:
    x, y, z = map(float, position)
    return Point(x=x, y=y, z=z)
