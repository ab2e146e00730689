"""Reads a LeRobotDataset of format v3.0 as steps of this robot: pictures, tool velocities, places, goals.

A dataset says little of what its numbers mean, so whatever does not fit the checkpoint's camera, action and rate is
refused by name rather than guessed. Needs `pyarrow`; OpenCV decodes the videos.

Source: huggingface/lerobot, `lerobot/datasets` (`CODEBASE_VERSION = "v3.0"`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from rig_robot.checkpoints.config import ActionEntry, CheckpointConfig
from rig_robot.common.json_reader import read_json
from rig_robot.common.one_line import one_line
from rig_robot.recording.lerobot_dataset import GOAL, VERSION
from rig_robot.vision.observation import ASPECT_TOLERANCE, Crop, prepare

Unit = Literal["named", "m/s", "m"]
TOLERANCE = 1.001
"""An action this much beyond the largest is taken for the largest: numbers are rounded on their way"""


class CannotImport(ValueError):
    """A dataset does not fit; the text names what, and what would be right."""

    def __init__(self, text: str) -> None:
        super().__init__(one_line(text))


class Steps(NamedTuple):
    """One episode of a dataset, T frames and the action taken at each."""

    number: int
    task: str
    pictures: NDArray[np.uint8]
    """[T, S, S, 3] RGB observations"""
    velocities: NDArray[np.float64]
    """[T, A] of the tool along the action's axes [m/s]"""
    positions: NDArray[np.float64] | None
    """[T, 3] tool positions [m]; None where the dataset has none"""
    stamps: NDArray[np.int64] | None
    """[T] stamps of the frames [ns]; None where the dataset has none"""
    goal: NDArray[np.uint8] | None
    """[S, S, 3] RGB picture of the goal; None where there is none"""


class LeRobotSource:
    """A dataset that is read.

    Args:
        directory: The dataset's directory.
        like: The checkpoint whose camera, action and rate the dataset must fit.
        image: Feature of the camera's pictures; empty: the only one there is.
        unit: Unit of the actions; `named`: what the names of their parts say.

    Raises:
        CannotImport: If it does not fit, or is none.
    """

    def __init__(self, directory: Path, like: CheckpointConfig, image: str = "", unit: Unit = "named") -> None:
        try:
            import pyarrow  # noqa: F401
        except ModuleNotFoundError:
            raise CannotImport("needs pyarrow: pip install pyarrow, or pip install '.[lerobot]'") from None
        self._directory, self._like = directory, like
        self._about = _information(directory)
        self._features = self._about["features"]
        self.image = _image_key(directory, self._features, image)
        self._factor = _velocity_factor(directory, self._features, like.action, unit)
        self._fps = _rate(directory, self._about, like.action)
        self._videos: dict[Path, tuple[Any, int]] = {}

    def episodes(self) -> Iterator[Steps]:
        """Read the episodes in the dataset's order.

        Raises:
            CannotImport: If a file is missing or broken, or a number is none that the robot could do.
        """
        files = sorted((self._directory / "meta" / "episodes").rglob("*.parquet"))
        if not files:
            raise CannotImport(f"{self._directory}/meta/episodes has no parquet file: not a LeRobotDataset {VERSION}")
        for file in files:
            for row in _rows(file):
                yield self._episode(file, row)

    def _episode(self, file: Path, row: dict[str, Any]) -> Steps:
        try:
            number, length = int(row["episode_index"]), int(row["length"])
            place = {f"{part}_index": int(row[f"data/{part}_index"]) for part in ("chunk", "file")}
            data = self._directory / self._about["data_path"].format(episode_index=number, **place)
            task = str((row.get("tasks") or [""])[0])
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise CannotImport(f"{file}: an episode's row is not as in {VERSION}: {error!r}") from None
        found = [step for step in _rows(data) if step.get("episode_index") == number]
        if len(found) != length:
            raise CannotImport(f"{data}: episode {number} has {len(found)} steps, {file} says {length}")
        goal = self._pictures(row, GOAL, 1)[0] if GOAL in self._features and length else None
        return Steps(
            number,
            task,
            self._pictures(row, self.image, length),
            self._velocities(data, number, found),
            self._positions(data, found),
            np.array([step["stamp_ns"] for step in found], np.int64) if "stamp_ns" in self._features else None,
            goal if goal is not None and goal.any() else None,
        )

    def _velocities(self, file: Path, number: int, steps: list[dict[str, Any]]) -> NDArray[np.float64]:
        action = self._like.action
        values = _numbers(file, steps, "action", len(action.axes)) * self._factor
        full = action.scale_m / action.period_s
        beyond = np.abs(values).max(initial=0.0)
        if not beyond <= TOLERANCE * full:
            raise CannotImport(
                f"{file}: episode {number} has an action of {beyond:.3g} m/s; the checkpoint's reach {full:g} m/s "
                "(is the unit right? --unit m/s, or m for metres a step)"
            )
        return np.clip(values, -full, full)

    def _positions(self, file: Path, steps: list[dict[str, Any]]) -> NDArray[np.float64] | None:
        """Return the tool's places where the dataset's state is named as one."""
        state = self._features.get("observation.state", {})
        return _numbers(file, steps, "observation.state", 3) if state.get("names") == ["x", "y", "z"] else None

    def _pictures(self, row: dict[str, Any], key: str, count: int) -> NDArray[np.uint8]:
        """Return the first pictures of an episode, as observations, from its video."""
        try:
            place = {f"{part}_index": int(row[f"videos/{key}/{part}_index"]) for part in ("chunk", "file")}
            first = round(float(row[f"videos/{key}/from_timestamp"]) * self._fps)
            file = self._directory / self._about["video_path"].format(video_key=key, **place)
        except (KeyError, TypeError, ValueError) as error:
            raise CannotImport(f"{self._directory}: an episode does not say where its {key} is: {error!r}") from None
        video, at = self._videos.pop(file, (None, 0))
        if video is None or at > first:
            video, at = cv2.VideoCapture(str(file)), 0
        self._videos = {other: seen for other, seen in self._videos.items() if other.parts[-3] != key} | {
            file: (video, 0)
        }
        pictures = []
        for index in range(at, first + count):
            read, frame = video.read()
            if not read:
                raise CannotImport(f"{file}: frame {index} cannot be decoded: cut short, or of a codec OpenCV lacks")
            if index >= first:
                pictures.append(self._observation(file, frame[..., ::-1]))
        self._videos[file] = (video, first + count)
        size = self._like.camera.image_size
        return np.array(pictures, np.uint8).reshape(-1, size, size, 3)

    def _observation(self, file: Path, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a picture as the camera node would have passed it on."""
        camera, (height, width) = self._like.camera, picture.shape[:2]
        if (height, width) == (camera.image_size, camera.image_size):
            return picture
        if abs(width / height / (camera.width / camera.height) - 1) > ASPECT_TOLERANCE:
            raise CannotImport(
                f"{file}: pictures are {width}x{height}; the checkpoint's camera has {camera.width}x{camera.height}, "
                f"its observations {camera.image_size}x{camera.image_size}: one of these aspects is needed"
            )
        return prepare(np.ascontiguousarray(picture), Crop(*camera.crop), camera.image_size)


def _information(directory: Path) -> dict[str, Any]:
    """Return the content of meta/info.json."""
    file = directory / "meta" / "info.json"
    try:
        about = read_json(file.read_text())
    except (OSError, ValueError) as error:
        raise CannotImport(f"{directory} is no LeRobotDataset: {file.name}: {error}") from None
    if not isinstance(about, dict) or about.get("codebase_version") != VERSION:
        version = about.get("codebase_version") if isinstance(about, dict) else None
        raise CannotImport(
            f"{file}: codebase_version is {version!r}; only {VERSION!r} is read (lerobot converts older)"
        )
    paths = all(isinstance(about.get(name), str) for name in ("data_path", "video_path"))
    features = about.get("features")
    if not paths or not isinstance(features, dict) or not all(isinstance(each, dict) for each in features.values()):
        raise CannotImport(f"{file} lacks data_path, video_path or features")
    return about


def _image_key(directory: Path, features: dict[str, Any], asked: str) -> str:
    keys = [key for key, each in features.items() if each.get("dtype") == "video" and key != GOAL]
    if asked and asked in keys:
        return asked
    choices = ", ".join(keys) or "none: no feature is a video"
    if asked:
        raise CannotImport(f"{directory} has no pictures {asked!r}; there are: {choices}")
    if len(keys) != 1:
        hint = ": choose the camera by --image" if keys else ""
        raise CannotImport(f"{directory} must have one camera's pictures; there are: {choices}{hint}")
    return keys[0]


def _velocity_factor(directory: Path, features: dict[str, Any], action: ActionEntry, unit: Unit) -> float:
    """Return what an action is multiplied by to be a velocity along the checkpoint's axes [m/s]."""
    given = features.get("action", {})
    axes, names = list(action.axes), given.get("names")
    names = names.get("axes") if isinstance(names, dict) else names
    if given.get("shape") != [len(axes)]:
        raise CannotImport(
            f"{directory}: action is of shape {given.get('shape')}, names {names}; the checkpoint's actions are the "
            f"tool's motion along {', '.join(axes)}: shape {[len(axes)]}"
        )
    if unit == "named" and names != [f"{axis}.vel" for axis in axes]:
        raise CannotImport(
            f"{directory}: action is named {names}, which does not say a unit as {[f'{axis}.vel' for axis in axes]} "
            "does: say it by --unit m/s (velocity of the tool) or --unit m (its way in a step)"
        )
    return 1.0 / action.period_s if unit == "m" else 1.0


def _rate(directory: Path, about: dict[str, Any], action: ActionEntry) -> float:
    fps = about.get("fps")
    if not isinstance(fps, int | float) or abs(fps * action.period_s - 1) > 1e-3:
        raise CannotImport(
            f"{directory}: fps is {fps!r}; the checkpoint's actions are {1 / action.period_s:g} a second"
        )
    return float(fps)


def _numbers(file: Path, steps: list[dict[str, Any]], name: str, count: int) -> NDArray[np.float64]:
    """Return a column of finite numbers, [T, count]."""
    try:
        values = np.array([step[name] for step in steps], np.float64).reshape(len(steps), count)
    except (KeyError, TypeError, ValueError):
        raise CannotImport(f"{file}: {name} must be {count} numbers in each row") from None
    if not np.isfinite(values).all():
        raise CannotImport(f"{file}: {name} has a number that is not finite")
    return values


def _rows(file: Path) -> list[dict[str, Any]]:
    """Return the rows of a parquet file."""
    import pyarrow
    from pyarrow import parquet

    try:
        return parquet.read_table(file).to_pylist()
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise CannotImport(f"{file} cannot be read: {error}") from None
