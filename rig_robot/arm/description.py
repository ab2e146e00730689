"""Reads the URDF or MJCF of a robot for the kinematics, and reduces it to the joints and shapes of the arm.

A description comes from strangers: a driver's topic, a download, a file that xacro has not been run on. Whatever cannot
be used is refused here with one line that names the description and says what would be right.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from rig_robot.arm.description_text import BadDescription, is_text, may_be_path, outline, read_text, short
from rig_robot.common.one_line import one_line

MOST_SHAPES = 300
"""Most collision shapes of a robot: each is compared with each."""
MOST_PARTS = 700
"""Most shapes, joints or other parts of a kind: MuJoCo takes each away in a time that grows with their number."""
LONGEST_NAME = 100
"""Longest name of a link, joint or site [characters]: errors have names in them."""
FARTHEST = 1000.0
"""Largest coordinate in a description [m]; beyond it stands a mistake, not a part of an arm."""

_MESH, _HEIGHTS, _SDF = mujoco.mjtGeom.mjGEOM_MESH, mujoco.mjtGeom.mjGEOM_HFIELD, mujoco.mjtGeom.mjGEOM_SDF
_HINGE, _SLIDE = mujoco.mjtJoint.mjJNT_HINGE, mujoco.mjtJoint.mjJNT_SLIDE
_REFERRING = (
    *("keys", "sensors", "actuators", "tuples", "numerics", "texts", "skins"),
    *("equalities", "excludes", "pairs", "tendons", "flexes"),
)
"""What refers to joints, links and shapes, in an order in which it can be taken away."""
_REFERRED = ("cameras", "lights", "meshes", "hfields", "materials", "textures")
"""What is not needed, once no shape refers to it."""
_WITH_USER_DATA = ("body", "jnt", "geom", "site", "cam", "tendon", "actuator", "sensor")
_SIZES = ("memory", "nstack", "njmax", "nconmax", "nemax", *(f"nuser_{kind}" for kind in _WITH_USER_DATA))
"""Sizes of MuJoCo's memory that a description may ask for; -1 is as much as is needed."""
_NAMED_AS_TEXT = "robot_description"
"""What a description is called that was given as a text; the topic it usually comes from."""


@dataclass
class Description:
    """A robot description that MuJoCo has read.

    Attributes:
        spec: The robot, with all its joints and shapes.
        named: What to call the description: its path, or `robot_description` where only the text is known.
        followers: For each joint of a URDF that has `<mimic>`, the joint that it follows.
    """

    spec: mujoco.MjSpec
    named: str
    followers: dict[str, str] = field(default_factory=dict)

    def reduce(self, joints: Sequence[str], with_shapes: bool) -> None:
        """Leave nothing but the arm's joints and, where asked for, the shapes that may collide.

        All that refers to other joints, links or shapes goes first: fingers that mimic each other, motors, tendons,
        sensors, exclusions of collisions. So do meshes, whose files may be missing, and masses, which may be wrong.

        Raises:
            BadDescription: If there are too many shapes.
        """
        spec = self.spec
        for kind in _REFERRING:
            _delete(spec, kind)
        for index, geom in enumerate(spec.geoms):
            shape = geom.type not in (_MESH, _HEIGHTS, _SDF) and not geom.meshname and not geom.hfieldname
            if with_shapes and shape and (geom.contype or geom.conaffinity):
                geom.contype = geom.conaffinity = 1  # who may meet whom is for us to say
                geom.material = ""
                geom.name = geom.name or f"shape {index} of {geom.parent.name}"  # MuJoCo's errors name it
            else:
                spec.delete(geom)
        if len(spec.geoms) > MOST_SHAPES:
            raise BadDescription(
                f"{self.named} has {len(spec.geoms)} collision shapes, at most {MOST_SHAPES}: take simpler ones, or "
                "set collision_margin to 0"
            )
        for site in spec.sites:
            site.material = ""
        for kind in _REFERRED:
            _delete(spec, kind)
        for joint in spec.joints:
            if joint.name not in joints:
                spec.delete(joint)
        for body in spec.bodies[1:]:
            body.explicitinertial, body.mass, body.inertia = True, 1.0, [1.0, 1.0, 1.0]
            body.ipos, body.iquat, body.fullinertia = [0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [math.nan] * 6
            body.mocap = False
        spec.compiler.inertiafromgeom = mujoco.mjtInertiaFromGeom.mjINERTIAFROMGEOM_FALSE
        spec.compiler.fusestatic = False  # or the link that is the tool might be gone
        for size in _SIZES:
            setattr(spec, size, -1)
        spec.nuserdata = spec.nkey = 0

    def check_joints(self, joints: Sequence[str]) -> None:
        """Reject joints that cannot be the arm's own. To be called before `reduce`.

        Raises:
            BadDescription: If there is none, or one is there twice, follows another, neither turns nor slides, or has
                no range.
        """
        if not joints:
            raise BadDescription("joints = []: name the arm's joints, from the base outwards")
        if twice := sorted({name for name in joints if list(joints).count(name) > 1}):
            raise BadDescription(f"joints = {list(joints)}: {', '.join(twice)} stands there twice")
        for name, leader in self._followers().items():
            if name in joints:
                raise BadDescription(
                    f"{self.named}: joint {name} follows {leader} (mimic or equality), so it cannot be one of the "
                    "arm's `joints`: take it out of them; on the way to the tool it must be fixed in the description"
                )
        for joint in self.spec.joints:
            if joint.name in joints:
                self._check_joint(joint)

    def _followers(self) -> dict[str, str]:
        """Return the joints that are tied to another one or to a fixed position, and what each is tied to."""
        tied = dict(self.followers)
        for equality in self.spec.equalities:
            if equality.type == mujoco.mjtEq.mjEQ_JOINT and equality.active:
                tied.setdefault(equality.name1, equality.name2 or "a fixed position")
        return tied

    def _check_joint(self, joint: mujoco.MjsJoint) -> None:
        named = f"{self.named}: joint {joint.name}"
        if joint.type not in (_HINGE, _SLIDE):
            raise BadDescription(f"{named} neither turns nor slides: the arm's joints do one of the two")
        if not (np.isfinite(joint.axis).all() and np.linalg.norm(joint.axis) > 1e-6):
            raise BadDescription(f"{named} has the axis {_numbers(joint.axis)}: must be a direction, such as 0 0 1")
        unit = "m" if joint.type == _SLIDE else "degrees" if self.spec.compiler.degree else "rad"
        low, high = (float(end) for end in joint.range)
        cure = "give it one in the description (URDF: revolute with <limit lower upper>, MJCF: range)"
        if low == high == 0.0:
            raise BadDescription(
                f"{named} has no range (it is continuous, or without limits), so nothing would bound it: {cure}; where "
                "the maker gives none, take some turns each way, such as -6.28 to 6.28 rad"
            )
        if not (math.isfinite(low) and math.isfinite(high)):
            raise BadDescription(f"{named} has the range {low:g} to {high:g} {unit}: must be finite; {cure}")
        if not low < high:
            raise BadDescription(f"{named} has the range {low:g} to {high:g} {unit}: the lower end must come first")

    def compile(self) -> mujoco.MjModel:
        """Return MuJoCo's model.

        Raises:
            BadDescription: If MuJoCo makes none of it, or a link, joint, site or shape is not at a finite place.
        """
        with _without_warnings():
            try:
                model = self.spec.compile()
            except (ValueError, mujoco.FatalError) as error:
                raise BadDescription(f"{self.named}: {one_line(str(error))}") from None
        self._check_places(model)
        return model

    def _check_places(self, model: mujoco.MjModel) -> None:
        """Reject a link, joint, site or shape whose place, turn or size is not finite."""

        def shape(index: int) -> Any:
            return model.body(model.geom_bodyid[index])

        link, joint, site = model.body, model.joint, model.site
        for kind, find, values in (
            ("link", link, model.body_pos),
            ("joint", joint, model.jnt_pos),
            ("site", site, model.site_pos),
            ("a shape of link", shape, model.geom_pos),
        ):
            for index in np.flatnonzero(~(np.abs(values) < FARTHEST).all(axis=1)):
                raise BadDescription(
                    f"{self.named}: {kind} {find(int(index)).name} is at {_numbers(values[index])} from what carries "
                    f"it: must be finite numbers, less than {FARTHEST:g} m"
                )
        for what, find, values in (
            ("link {} is turned by what is no finite number", link, model.body_quat),
            ("site {} is turned by what is no finite number", site, model.site_quat),
            ("a shape of link {} is turned by what is no finite number", shape, model.geom_quat),
            ("a shape of link {} has no finite size", shape, model.geom_size),
        ):
            for index in np.flatnonzero(~np.isfinite(values).all(axis=1)):
                raise BadDescription(f"{self.named}: {what.format(find(int(index)).name)}")


def read_description(description: Path | str) -> Description:
    """Read a URDF or MJCF.

    Args:
        description: Its file, or its text.

    Raises:
        BadDescription: If it is none; the text names it and says what it is instead.
        FileNotFoundError: If there is no such file.
        OSError: If it cannot be read.
    """
    if isinstance(description, str) and (is_text(description) or not may_be_path(description)):
        named, text, file = _NAMED_AS_TEXT, description, None
    else:
        file = Path(description)
        named, text = str(file), read_text(file)
    text = text.removeprefix("\ufeff").lstrip().rstrip("\0")  # a text of C may have its end with it
    if not text:
        raise BadDescription(f"{named} is empty: must be the URDF or MJCF of the robot")
    if "\0" in text:
        raise BadDescription(f"{named} is binary: must be the URDF or MJCF of the robot, which is XML")
    if not text.startswith("<"):
        raise BadDescription(f"{named} is no URDF or MJCF, which are XML: it begins with {text[:40]!r}")
    found = outline(text, named, None if file is None else file.parent)
    from_file = file is not None and found.includes  # only what a file includes needs its folder
    if from_file and file is not None and file.suffix not in (".xml", ".urdf"):
        raise BadDescription(f"{named} includes other files, which MuJoCo reads only for a name in .xml: rename it")
    with _without_warnings():
        try:
            spec = mujoco.MjSpec.from_file(str(file)) if from_file else mujoco.MjSpec.from_string(text)
        except (ValueError, mujoco.FatalError) as error:
            raise BadDescription(f"{named}: {one_line(str(error))}") from None
    _check_counts(spec, named)
    _check_names(spec, named)
    return Description(spec, named, found.followers)


def _check_counts(spec: mujoco.MjSpec, named: str) -> None:
    """Reject what would take minutes."""
    for kind in ("geoms", "joints", "sites", *_REFERRING, *_REFERRED):
        if (count := len(getattr(spec, kind))) > MOST_PARTS:
            raise BadDescription(f"{named} has {count} {kind}, at most {MOST_PARTS}: leave away what is not the robot")


def _check_names(spec: mujoco.MjSpec, named: str) -> None:
    """Reject names that would make an error of several lines."""
    for kind, things in (("link", spec.bodies), ("joint", spec.joints), ("site", spec.sites)):
        for thing in things:
            if not thing.name.isprintable() or len(thing.name) > LONGEST_NAME:
                raise BadDescription(
                    f"{named}: the name of a {kind} is {short(repr(thing.name))}: must be one line of at most "
                    f"{LONGEST_NAME} characters"
                )


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Keep MuJoCo from writing a file MUJOCO_LOG.TXT into the current directory: what matters of it is checked here."""
    before = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(lambda _: None)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        mujoco.set_mju_user_warning(before)


def _delete(spec: mujoco.MjSpec, kind: str) -> None:
    for element in list(getattr(spec, kind)):
        spec.delete(element)


def _numbers(vector: np.ndarray) -> str:
    return "(" + ", ".join(f"{value:g}" for value in vector) + ")"
