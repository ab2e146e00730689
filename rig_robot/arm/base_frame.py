"""Finds the link of a robot description that is the arm's base frame, and rejects one that cannot be."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np

SHOWN = 30
"""Joints of a description that an error lists."""


class BaseFrame:
    """The link in whose frame all is told, and the link that carries the arm; the one does not move against the other.

    Args:
        spec: The description, with all its joints. Bodies without a name get one.
        named: What to call it.
        joints: The arm's joints.
        tool: The site or body that is the tool.
        base_frame: The link asked for; None: the one that carries the arm.

    Attributes:
        link: Name of the base frame.

    Raises:
        ValueError: There is no such link, joint or tool, or the base frame moves; the text names both frames.
    """

    def __init__(
        self, spec: mujoco.MjSpec, named: str, joints: Sequence[str], tool: str, base_frame: str | None
    ) -> None:
        for index, body in enumerate(spec.bodies):
            body.name = body.name or f"body {index}"
        names = [joint.name for joint in spec.joints]
        if missing := [name for name in joints if name not in names]:
            more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            raise ValueError(f"{named} has no joint {', '.join(missing)}; it has {', '.join(names[:SHOWN])}{more}")
        carriers, first = _carriers(spec, named, joints, tool)
        carrier = carriers[-1].name
        self.stands = f"the arm, from its joint {first} on, stands on {carrier!r}"
        self.root = f"the root of {named} is {_root(carriers)!r}"
        self.link = carrier if base_frame is None else base_frame
        body = spec.body(self.link)
        if body is None:
            raise ValueError(
                f"{named}: base_frame = {base_frame!r}: there is no such link; {self.root}, and {self.stands}"
            )
        ours, others = _path(body), carriers
        if moving := [joint.name for link in ours for joint in link.joints if joint.name in joints]:
            raise ValueError(
                f"{named}: base_frame = {base_frame!r}: it moves with the arm, by the joint {moving[0]}; {self.stands}"
                ": name that, or a link that does not move against it"
            )
        while ours and others and ours[0].name == others[0].name:
            ours, others = ours[1:], others[1:]
        if moving := [joint.name for link in (*others, *ours) for joint in link.joints]:
            raise ValueError(
                f"{named}: base_frame = {base_frame!r}: it moves against {carrier!r} by the joint {moving[0]}, which "
                f"is not among the arm's joints; {self.stands}: name that, or a link that does not move against it"
            )

    def must_be_given(self) -> ValueError:
        """Return what to say where it was not given and makes a difference."""
        return ValueError(
            f"base_frame must be given: {self.root}, but {self.stands}, which is elsewhere or turned: say in which of "
            "the two the box, the table and the twists are"
        )


def _carriers(spec: mujoco.MjSpec, named: str, joints: Sequence[str], tool: str) -> tuple[list[mujoco.MjsBody], str]:
    """Return the bodies from the root to the one that carries the arm's first joint, and that joint's name."""
    site = next((site for site in spec.sites if site.name == tool), None)
    end = spec.body(tool) if site is None else site.parent
    if end is None:
        raise ValueError(f"{named} has no site or body {tool!r} for the tool")
    path = _path(end)
    on_the_way = [(index, joint.name) for index, link in enumerate(path) for joint in link.joints]
    ours = [place for place, (_, name) in enumerate(on_the_way) if name in joints]
    if not ours:
        raise ValueError(f"{named}: tool = {tool!r}: no joint of {', '.join(joints)} moves it: is it another arm's?")
    if others := [name for _, name in on_the_way[ours[0] : ours[-1]] if name not in joints]:
        raise ValueError(
            f"{named}: joints = {list(joints)}: among them the arm has {', '.join(others)}, too: name all from the "
            "base to the tool, or have those fixed in the description"
        )
    index, first = on_the_way[ours[0]]
    return path[:index], first


def _path(body: mujoco.MjsBody) -> list[mujoco.MjsBody]:
    """Return the bodies from MuJoCo's world to this one."""
    path = [body]
    while (above := path[0].parent) is not None:
        path.insert(0, above)
    return path


def _root(path: Sequence[mujoco.MjsBody]) -> str:
    """Return the name of the description's root: a URDF's root link is a body of its own at the world's origin."""
    world, *rest = path
    if rest and not np.any(rest[0].pos) and np.array_equal(rest[0].quat, [1, 0, 0, 0]):
        return str(rest[0].name)
    return str(world.name)
