"""Reads and writes checkpoints: directories of `vae.safetensors`, `policy.safetensors` and `config.json`.

A checkpoint never changes once it has its name. `scene.safetensors`, which may be missing, is what the camera saw
beside the arm (`rig_robot/vision/view_check.py`).

`config.json` has everything that a robot needs to run the networks (crop, image size, action scale, workspace ...) and
the sha256 of each file, so that a half-copied or mixed-up pair is rejected by name. A checkpoint appears by rename,
whole or not at all. The active checkpoint of a root is `<root>/current`, a link that is replaced by rename.

This module does not import torch: camera, goal and arm nodes read the configuration without it. Reading the
configuration does not need safetensors either: `ros2 launch` is run by the interpreter of ROS 2 itself, which may have
numpy and yaml and nothing else. No pickle is ever read.
"""

import dataclasses
import hashlib
import json
import secrets
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rig_robot.common.crop import wrong_crop
from rig_robot.common.durable_files import sync_directory, write_synced, written_whole
from rig_robot.common.json_reader import read_json
from rig_robot.common.one_line import one_line

FORMAT = 4
"""Newest version; all before it are read, too. A checkpoint has the oldest that can say what it is. 2: VAEs can be
split (`VaeEntry.scene_size`). 3: latents can hold objects (`VaeEntry.objects`). 4: policies can rest at the goal
(`PolicyEntry.rest_at_goal`)."""
CONFIG_FILE = "config.json"
VAE_FILE = "vae.safetensors"
POLICY_FILE = "policy.safetensors"
SCENE_FILE = "scene.safetensors"
CURRENT = "current"
LARGEST_NUMBER = 1e4
"""Largest number in a tensor: networks with larger weights overflow; trained ones stay below a hundred."""
LARGEST_LAYER = 65_536
"""Largest number of a layer's units"""
LARGEST_LATENT = 1e6
"""Largest number in the prior of the latents, which are of the order of 1"""
LARGEST_SIDE = 65_535
"""Largest side of a picture [pixels]: that of a JPEG file"""

Tensors = Mapping[str, np.ndarray]


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


def save(
    directory: Path, config: CheckpointConfig, vae: Tensors, policy: Tensors, scene: Tensors | None = None
) -> CheckpointConfig:
    """Write a checkpoint as `directory`, which must not exist yet; its parent is created when needed.

    Fill in the hashes in `config`, and return the configuration as written. A kill at any moment leaves either the
    whole checkpoint or a hidden folder beside it, which the next `save` of the same name removes.
    """
    directory = Path(directory)
    if directory.exists():
        raise CheckpointError(f"{directory} exists already; a checkpoint never changes once named: choose another name")
    import safetensors.numpy

    # safetensors writes an array's memory as it is, whatever its order: make it C-contiguous first.
    vae_bytes, policy_bytes, scene_bytes = (
        safetensors.numpy.save({name: np.asarray(value, order="C") for name, value in tensors.items()})
        for tensors in (vae, policy, scene or {})
    )
    vae_sha256 = hashlib.sha256(vae_bytes).hexdigest()
    config = dataclasses.replace(
        config,
        format=4 if config.policy.rest_at_goal else 3 if config.vae.objects else 2,
        vae=dataclasses.replace(config.vae, sha256=vae_sha256),
        policy=dataclasses.replace(
            config.policy, sha256=hashlib.sha256(policy_bytes).hexdigest(), vae_sha256=vae_sha256
        ),
        scene=SceneEntry(sha256=hashlib.sha256(scene_bytes).hexdigest()) if scene else None,
    )
    _check(config, directory)
    config_bytes = (json.dumps(dataclasses.asdict(config), indent=1) + "\n").encode()
    files = {config.vae.file: vae_bytes, config.policy.file: policy_bytes}
    if config.scene is not None:
        files[config.scene.file] = scene_bytes
    with written_whole(directory) as folder:
        for name, data in (files | {CONFIG_FILE: config_bytes}).items():
            write_synced(folder / name, data)
        sync_directory(folder)
    sync_directory(directory.parent)
    return config


def activate(directory: Path) -> None:
    """Make `directory` the `current` checkpoint of its root (its parent); at no moment is the link missing.

    Several processes may call this at once: the last one wins.
    """
    directory = Path(directory)
    link = directory.parent / f".{CURRENT}.{secrets.token_hex(4)}.partial"
    link.symlink_to(directory.name)
    link.rename(directory.parent / CURRENT)
    sync_directory(directory.parent)


def resolve(path: Path | str) -> Path:
    """Return the checkpoint directory of `path`: itself, or `path/current` when `path` is a root of checkpoints.

    The link is resolved, so that the result remains the same checkpoint when another becomes current.
    """
    path = Path(path)
    if not path.is_dir():
        raise CheckpointError(f"no checkpoint at {path}: not a directory")
    for candidate in (path, path / CURRENT):
        if (candidate / CONFIG_FILE).is_file():
            return candidate.resolve()
    raise CheckpointError(
        f"no checkpoint at {path}: it has neither {CONFIG_FILE} nor a link named {CURRENT} to one that has"
    )


def read_config(directory: Path | str) -> CheckpointConfig:
    """Read and verify a checkpoint: every file is present, every sha256 right, and policy and VAE belong together."""
    directory = resolve(directory)
    config = read_entries(directory / CONFIG_FILE)
    for entry in config.files:
        verified_bytes(directory, entry)
    return config


def read_entries(path: Path) -> CheckpointConfig:
    """Read a `config.json` without verifying the files beside it."""
    try:
        data = read_json(path.read_bytes())
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:  # covers bytes that are not UTF-8
        raise CheckpointError(f"{path} is not JSON: {error}") from error
    found_format = data.get("format") if isinstance(data, dict) else None
    if type(found_format) is not int or not 1 <= found_format <= FORMAT:
        raise CheckpointError(f"{path}: format is {found_format!r}, this version reads 1 to {FORMAT}")
    config = typing.cast(CheckpointConfig, parse(CheckpointConfig, data, str(path)))
    _check(config, path)
    return config


def read_tensors(directory: Path, entry: VaeEntry | PolicyEntry | SceneEntry) -> dict[str, np.ndarray]:
    """Return the tensors of one of the checkpoint's files, all finite, from bytes whose sha256 was just verified."""
    import safetensors.numpy

    path = Path(directory) / entry.file
    content = verified_bytes(directory, entry)
    try:
        tensors = safetensors.numpy.load(content)
    except Exception as error:  # a KeyError for a type that numpy lacks, and what else its header may cause
        raise CheckpointError(f"{path} is not a safetensors file: {type(error).__name__}: {error}") from error
    for name, tensor in tensors.items():
        if tensor.dtype.kind == "f" and not (np.abs(tensor) <= LARGEST_NUMBER).all():
            raise CheckpointError(f"{path}: {name[:80]} has numbers that are not finite, or above {LARGEST_NUMBER:g}")
    return tensors


def verified_bytes(directory: Path, entry: VaeEntry | PolicyEntry | SceneEntry) -> bytes:
    """Return the content of `entry.file`; raise CheckpointError if it is missing or its sha256 is wrong."""
    path = Path(directory) / entry.file
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != entry.sha256:
        raise CheckpointError(f"{path}: sha256 is {found}, {CONFIG_FILE} says {entry.sha256}")
    return content


def _check(config: CheckpointConfig, where: Path) -> None:
    """Check what types alone do not say; raise CheckpointError for the first problem."""
    size = config.vae.latent_size
    rows = [len(row) for row in config.latent_prior.covariance]
    samples = config.training.get("samples", 1)
    problems = {
        "vae.latent_size": (0 < size <= LARGEST_LAYER, f"above 0, at most {LARGEST_LAYER}"),
        "vae.scene_size": (0 <= config.vae.scene_size <= LARGEST_LAYER, f"0 to {LARGEST_LAYER}"),
        "vae.objects": (
            config.vae.objects in (0, 1) and (not config.vae.objects or _is_split(config)),
            "0, or 1 with a scene_size and two numbers of the latent for each axis of the actions",
        ),
        "vae.channels": (_are_widths(config.vae.channels), f"numbers above 0, at most {LARGEST_LAYER}"),
        "policy.hidden": (_are_widths(config.policy.hidden), f"numbers above 0, at most {LARGEST_LAYER}"),
        "training": (
            isinstance(samples, int | float),
            "entries whose samples, if there are any, are a number",
        ),
        "policy.vae_sha256": (config.policy.vae_sha256 == config.vae.sha256, f"that of the VAE, {config.vae.sha256}"),
        "latent_prior.mean": (len(config.latent_prior.mean) == size, f"{size} numbers (vae.latent_size)"),
        "latent_prior.covariance": (len(rows) == size and set(rows) == {size}, f"{size} rows of {size} numbers"),
    }
    if config.pictures is not None:
        for name, figure in dataclasses.asdict(config.pictures).items():
            problems[f"pictures.{name}"] = (figure >= 0, "0 or more")
    if (config.places is None) == bool(config.vae.objects):
        raise CheckpointError(f"{where}: places is {config.places}, expected one where there are objects, else none")
    if config.places is not None:
        low, high, apart = config.places.low, config.places.high, config.places.apart
        bounds = len(low) == len(high) == size and all(a <= b for a, b in zip(low, high, strict=True))
        problems["places.low"] = (bounds, f"{size} numbers, none above its one of places.high, {high}")
        problems["places.apart"] = (0 <= apart <= LARGEST_LATENT, f"0 to {LARGEST_LATENT:g}")
        most = max(map(abs, (*low, *high)), default=0.0)
        problems["places.high"] = (most <= LARGEST_LATENT, f"numbers of at most {LARGEST_LATENT:g}, as in places.low")
    problems["vae.likelihood"] = (config.vae.likelihood in ("gaussian", "bernoulli"), "gaussian or bernoulli")
    for entry in ("vae", "policy") + ("scene",) * (config.scene is not None):
        file = getattr(config, entry).file
        problems[f"{entry}.file"] = (
            Path(file).name == file and file not in ("", ".", "..") and "\0" not in file,
            "a plain file name",
        )
    for name, (good, expected) in problems.items():
        if not good:
            value: Any = config
            for part in name.split("."):
                value = getattr(value, part)
            raise CheckpointError(f"{where}: {name} is {repr(value)[:200]}, expected {expected}")
    _check_prior(config.latent_prior, where)
    check_robot(where, config.camera, config.action, config.workspace)


def _is_split(config: CheckpointConfig) -> bool:
    """Return whether a latent is of a split VAE and has as many numbers as tool and objects need."""
    size = (1 + config.vae.objects) * len(config.action.axes)
    return config.vae.scene_size > 0 and config.vae.latent_size == size


def _are_widths(numbers: tuple[int, ...]) -> bool:
    """Return whether numbers can be the widths of layers."""
    return len(numbers) > 0 and all(0 < number <= LARGEST_LAYER for number in numbers)


def _check_prior(prior: PriorEntry, where: Path) -> None:
    """Check that goals can be drawn from the prior."""
    mean, covariance = np.array(prior.mean), np.array(prior.covariance)
    found = max(np.abs(mean).max(), np.abs(covariance).max())
    if found > LARGEST_LATENT:
        raise CheckpointError(f"{where}: latent_prior has the number {found:g}, expected at most {LARGEST_LATENT:g}")
    least = np.linalg.eigvalsh(covariance).min()
    if not np.allclose(covariance, covariance.T) or least < -1e-6 * max(1.0, np.abs(covariance).max()):
        raise CheckpointError(
            f"{where}: latent_prior.covariance is not that of a Gaussian: symmetric, no negative variance"
        )


def check_robot(where: Path, camera: CameraEntry, action: ActionEntry, workspace: WorkspaceEntry) -> None:
    """Check what types alone do not say of a robot's entries, in a checkpoint or a recorded episode.

    Raises:
        CheckpointError: If a value cannot be; the text names it, what was found and what was expected.
    """
    axes = action.axes
    sides = {"camera.width": camera.width, "camera.height": camera.height, "camera.image_size": camera.image_size}
    problems: dict[str, tuple[Any, bool, str]] = {
        name: (value, 0 < value <= LARGEST_SIDE, f"above 0, at most {LARGEST_SIDE}") for name, value in sides.items()
    }
    problems |= {
        "camera.crop": (
            camera.crop,
            wrong_crop(camera.crop) is None,
            "left, top, width, height in fractions of the frame, inside it",
        ),
        "action.axes": (axes, len(set(axes)) == len(axes) > 0 and set(axes) <= set("xyz"), "one to three of x, y, z"),
        "action.fixed": (action.fixed, set(action.fixed) == set("xyz") - set(axes), f"the axes other than {axes}"),
        "action.scale_m": (action.scale_m, action.scale_m > 0, "above 0"),
        "action.period_s": (action.period_s, action.period_s > 0, "above 0"),
        "workspace.low": (
            workspace.low,
            all(low <= high for low, high in zip(workspace.low, workspace.high, strict=True)),
            f"nowhere above workspace.high {workspace.high}",
        ),
    }
    for name, (value, good, expected) in problems.items():
        if not good:
            raise CheckpointError(f"{where}: {name} is {str(value)[:200]}, expected {expected}")


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
