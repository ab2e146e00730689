"""Defines a checkpoint's `config.json`, what a robot must know to run its networks, as dataclasses, and reads it."""

from __future__ import annotations

import dataclasses
import types
import typing
from dataclasses import dataclass, field
from typing import Any

from rig_robot.common.one_line import one_line

VAE_FILE = "vae.safetensors"
POLICY_FILE = "policy.safetensors"
SCENE_FILE = "scene.safetensors"


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the text names the file, what was found and what was expected."""

    def __init__(self, text: str) -> None:
        super().__init__(one_line(text))


@dataclass(frozen=True)
class VaeEntry:
    """The VAE: its file and its architecture (image size: see `CameraEntry`)."""

    latent_size: int
    channels: tuple[int, ...]
    """Channels of the encoder's convolutions, from the image inwards."""
    file: str = VAE_FILE
    sha256: str = ""
    likelihood: str = "gaussian"
    """of a pixel given the latent: "gaussian" or "bernoulli" (see `vae.Vae`)"""
    scene_size: int = 0
    """numbers of a split VAE's exogenous latent (see `split_vae.SplitVae`); 0: a plain VAE"""
    objects: int = 0
    """objects whose places follow that of the tool in the latent (see `objects.ObjectLatent`): 0 or 1"""


@dataclass(frozen=True)
class PolicyEntry:
    """Actor and critics, and the VAE whose latents they were trained on."""

    hidden: tuple[int, ...]
    """Widths of the hidden layers."""
    rest_at_goal: bool = False
    """Whether what the network says where the state is the goal is subtracted, so that the action is 0 there."""
    vae_sha256: str = ""
    file: str = POLICY_FILE
    sha256: str = ""


@dataclass(frozen=True)
class SceneEntry:
    """The static scene as the camera saw it: the reference against which a moved camera is noticed."""

    file: str = SCENE_FILE
    sha256: str = ""


@dataclass(frozen=True)
class PicturesEntry:
    """The VAE's usual errors on its training observations, which say which goals it knows (`vision/goal_check.py`).

    Errors are root mean squares over an observation's pixels [grey levels]; 99 % of the observations have no larger
    ones. A goal with a far larger error is unknown to the VAE.
    """

    missed: float
    """error of an observation's reconstruction"""
    missed_colour: float
    """error in colour: the same without each pixel's grey"""
    saturation: float
    """median over the observations: 0 where they are grey, 1 for pure colours"""


@dataclass(frozen=True)
class CameraEntry:
    """How a camera frame becomes an observation."""

    width: int
    """pixels, of the frames that the observations were made from"""
    height: int
    crop: tuple[float, float, float, float]
    """left, top, width, height as fractions of the frame"""
    image_size: int
    """pixels, side of the square observation"""


@dataclass(frozen=True)
class ActionEntry:
    """The meaning of an action of +1 on an axis, and the axes that are held."""

    axes: tuple[str, ...]
    """the axes of the base frame that the policy moves along, in the order of its outputs"""
    scale_m: float
    """tool displacement of an action of 1 in one period [m]"""
    period_s: float
    fixed: dict[str, float]
    """the other axes and where the tool stays on them [m]"""
    tool_orientation: tuple[float, float, float, float]
    """quaternion w x y z, base frame"""


@dataclass(frozen=True)
class WorkspaceEntry:
    """The box that the policy was trained in, base frame [m]; low == high on a fixed axis."""

    low: tuple[float, float, float]
    high: tuple[float, float, float]


@dataclass(frozen=True)
class PriorEntry:
    """Gaussian fitted to the encodings of the training images: imagined goals are samples of it."""

    mean: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class PlacesEntry:
    """Where tool and object were seen, in latents: goals are imagined there instead of by the Gaussian
    (see `inference/places.py`)."""

    low: tuple[float, ...]
    high: tuple[float, ...]
    apart: float
    """least distance between tool and object"""


@dataclass(frozen=True)
class CheckpointConfig:
    """`config.json`, field by field."""

    created: str
    """ISO 8601, UTC"""
    seed: int
    vae: VaeEntry
    policy: PolicyEntry
    camera: CameraEntry
    action: ActionEntry
    workspace: WorkspaceEntry
    latent_prior: PriorEntry
    training: dict[str, Any] = field(default_factory=dict)
    """how it was made: the arguments of `rig train`, steps, images"""
    figures: dict[str, Any] = field(default_factory=dict)
    """distances to held-out goals and the like, as `rig eval` measures them"""
    scene: SceneEntry | None = None
    pictures: PicturesEntry | None = None
    places: PlacesEntry | None = None
    """with objects only"""
    parent: str = ""
    """name of the checkpoint that it was trained from, in the same root; empty for one that began from scratch"""
    format: int = 2

    @property
    def vae_id(self) -> str:
        """First 8 hex digits of the VAE's sha256: latents carry it as `vae/<vae_id>`."""
        return self.vae.sha256[:8]

    @property
    def files(self) -> list[VaeEntry | PolicyEntry | SceneEntry]:
        """The files that belong to it beside `config.json`."""
        return [entry for entry in (self.vae, self.policy, self.scene) if entry is not None]

    @property
    def trained(self) -> bool:
        """Whether the networks are trained; an untrained checkpoint only says what the robot and its camera are."""
        return self.training.get("samples", 1) > 0

    @property
    def acts(self) -> bool:
        """Whether its policy has learned anything; the first encoder that finds an object comes without such a one."""
        return self.trained and self.training.get("acts", True) is not False


_LATER = frozenset({"likelihood", "scene", "pictures", "places", "parent", "scene_size", "objects", "rest_at_goal"})
"""Fields that older checkpoints lack, with the values that applied then."""


def parse(kind: Any, value: Any, where: str) -> Any:
    """Convert `value`, as json.loads gave it, to the type `kind`; raise CheckpointError naming the place otherwise.

    Keys that this version does not know are ignored: a change of meaning changes `format`.
    """
    if isinstance(kind, type) and dataclasses.is_dataclass(kind) and isinstance(value, dict):
        hints = typing.get_type_hints(kind)
        missing = [name for name in hints if name not in value and name not in _LATER]
        if missing:
            raise CheckpointError(f"{where}: {', '.join(missing)} missing")
        present = {name: hint for name, hint in hints.items() if name in value}
        return kind(**{name: parse(hint, value[name], f"{where}: {name}") for name, hint in present.items()})
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:  # X | None
        return None if value is None else parse(arguments[0], value, where)
    if origin is tuple and isinstance(value, list):
        kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else list(arguments)
        if len(kinds) == len(value):
            pairs = enumerate(zip(kinds, value, strict=True))
            return tuple(parse(part, item, f"{where}[{index}]") for index, (part, item) in pairs)
    elif origin is dict and isinstance(value, dict):
        return {key: parse(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    elif kind is float and isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300:
        return float(value)
    elif kind is Any or (kind in (bool, int, str) and type(value) is kind):
        return value
    expected = kind if isinstance(kind, types.GenericAlias) else getattr(kind, "__name__", kind)
    raise CheckpointError(f"{where} is {repr(value)[:200]}, expected {expected}")
