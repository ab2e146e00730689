"""Writes recorded transitions as a LeRobotDataset of format v3.0: parquet for numbers, MP4 for pictures, JSON for both.

A run of steps without a gap (`Segment`) becomes an episode of the dataset: T frames, each with the action that was
taken at it. Needs `pyarrow`; the videos are OpenCV's, MPEG-4 part 2.

Source: huggingface/lerobot, `lerobot/datasets` (`CODEBASE_VERSION = "v3.0"`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rig_robot.recording.episode_reader import EpisodeInfo
from rig_robot.recording.transitions import Segment

VERSION = "v3.0"
IMAGE, GOAL = "observation.images.camera", "observation.images.goal"
FRAMES_PER_FILE = 100_000
"""Frames in a file before the next one begins; of 48x48 pixels some 100 MB of video"""
FILES_PER_CHUNK = 1000
_FILE = "chunk-{chunk_index:03d}/file-{file_index:03d}"
DATA, VIDEO, EPISODES = f"data/{_FILE}.parquet", f"videos/{{video_key}}/{_FILE}.mp4", f"meta/episodes/{_FILE}.parquet"
_TASKS = {"explore": "explore at random", "practice": "practise a goal that was imagined"}

Columns = dict[str, list[Any]]
Statistics = dict[str, dict[str, Any]]


class CannotExport(ValueError):
    """Episodes cannot be written in this format; the text says why and what would be right."""


class LeRobotDataset:
    """A dataset that is being written.

    Args:
        directory: Where it is written; it must not exist.
        info: An episode of the robot; all segments must be of that robot.

    Raises:
        CannotExport: If pyarrow is missing, or the robot's steps are no whole number a second.
    """

    def __init__(self, directory: Path, info: EpisodeInfo) -> None:
        try:
            import pyarrow  # noqa: F401
        except ModuleNotFoundError:
            raise CannotExport("needs pyarrow: pip install pyarrow, or pip install '.[lerobot]'") from None
        rate = 1.0 / info.action.period_s
        if abs(rate - round(rate)) > 1e-6:
            raise CannotExport(
                f"{info.directory}: a step every {info.action.period_s:g} s is {rate:g} a second, and a LeRobotDataset "
                "has a whole number of frames a second"
            )
        self._directory, self._action, self._size = directory, info.action, info.camera.image_size
        self._fps = round(rate)
        self._tasks: dict[str, int] = {}
        self._rows: Columns = {}
        self._episodes: Columns = {}
        self._videos: dict[str, cv2.VideoWriter] = {}
        self._file = self._in_file = 0
        self.frames = self.episodes = 0
        directory.mkdir(parents=True, exist_ok=True)

    def add(self, segment: Segment, info: EpisodeInfo) -> None:
        """Add a segment as an episode.

        Args:
            segment: The steps, whose positions must all have been measured.
            info: The recorded episode that they are from.
        """
        steps = len(segment.actions)
        if self._in_file and self._in_file + steps > FRAMES_PER_FILE:
            self._finish_file()
            self._file, self._in_file = self._file + 1, 0
        task = self._tasks.setdefault(_task(info), len(self._tasks))
        full = self._action.scale_m / self._action.period_s  # m/s of an action of 1
        goal = np.zeros_like(segment.images[0]) if segment.goal is None else segment.goal
        values: dict[str, NDArray[Any]] = {
            "observation.state": segment.positions[:steps],
            "action": (segment.actions * full).astype(np.float32),
            "stamp_ns": segment.stamps[:steps],
            "timestamp": (np.arange(steps) / self._fps).astype(np.float32),
            "frame_index": np.arange(steps),
            "episode_index": np.full(steps, self.episodes),
            "index": np.arange(self.frames, self.frames + steps),
            "task_index": np.full(steps, task),
        }
        pictures = {IMAGE: segment.images[:steps], GOAL: np.repeat(goal[None], steps, axis=0)}
        for key, column in values.items():
            self._rows.setdefault(key, []).extend(column.tolist())
        for key, frames in pictures.items():
            self._show(key, frames)
        self._note_episode(steps, list(self._tasks)[task], info, _statistics(values, pictures))
        self.frames, self.episodes, self._in_file = self.frames + steps, self.episodes + 1, self._in_file + steps

    def close(self) -> None:
        """Write what is left, and what describes the dataset.

        Raises:
            CannotExport: If nothing was added.
        """
        if not self.episodes:
            raise CannotExport("there is no step to write")
        self._finish_file()
        self._write_table(EPISODES.format(chunk_index=0, file_index=0), self._episodes, {})
        self._write_tasks()
        self._write_json("meta/stats.json", _merged(self._episodes))
        self._write_json("meta/info.json", self._info())

    def _note_episode(self, steps: int, task: str, info: EpisodeInfo, statistics: Statistics) -> None:
        """Add the row that describes an episode."""
        place = {"chunk_index": self._file // FILES_PER_CHUNK, "file_index": self._file % FILES_PER_CHUNK}
        row: dict[str, Any] = {"episode_index": self.episodes, "tasks": [task], "length": steps, "recorded_as": info.id}
        row |= {f"data/{key}": value for key, value in place.items()}
        row |= {"dataset_from_index": self.frames, "dataset_to_index": self.frames + steps}
        for video in (IMAGE, GOAL):
            row |= {f"videos/{video}/{key}": value for key, value in place.items()}
            begin, end = self._in_file / self._fps, (self._in_file + steps) / self._fps
            row |= {f"videos/{video}/from_timestamp": begin, f"videos/{video}/to_timestamp": end}
        row |= {f"stats/{key}/{name}": value for key, found in statistics.items() for name, value in found.items()}
        row |= {"meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0}
        for key, value in row.items():
            self._episodes.setdefault(key, []).append(value)

    def _show(self, key: str, frames: NDArray[np.uint8]) -> None:
        """Append frames, [T, S, S, 3] RGB, to a video."""
        if key not in self._videos:
            file = self._directory / self._place(VIDEO, video_key=key)
            file.parent.mkdir(parents=True, exist_ok=True)
            code = cv2.VideoWriter.fourcc(*"mp4v")
            self._videos[key] = video = cv2.VideoWriter(str(file), code, self._fps, (self._size, self._size))
            if not video.isOpened():
                raise CannotExport(f"{file}: this OpenCV cannot write MPEG-4 video")
        for frame in frames:
            self._videos[key].write(np.ascontiguousarray(frame[..., ::-1]))

    def _finish_file(self) -> None:
        """Close the videos and write the numbers of the present file."""
        for video in self._videos.values():
            video.release()
        self._videos.clear()
        self._write_table(self._place(DATA), self._rows, self._numbers())
        self._rows = {}

    def _place(self, pattern: str, **names: str) -> str:
        return pattern.format(
            chunk_index=self._file // FILES_PER_CHUNK, file_index=self._file % FILES_PER_CHUNK, **names
        )

    def _numbers(self) -> dict[str, dict[str, Any]]:
        """Return the features that are numbers: type, shape and the names of the parts."""
        axes = self._action.axes
        scalars = ("stamp_ns", "frame_index", "episode_index", "index", "task_index")
        return {
            "observation.state": {"dtype": "float32", "shape": [3], "names": ["x", "y", "z"]},
            "action": {"dtype": "float32", "shape": [len(axes)], "names": [f"{axis}.vel" for axis in axes]},
            "timestamp": {"dtype": "float32", "shape": [1], "names": None},
            **{name: {"dtype": "int64", "shape": [1], "names": None} for name in scalars},
        }

    def _info(self) -> dict[str, Any]:
        """Return the content of meta/info.json."""
        video = {
            "dtype": "video",
            "shape": [self._size, self._size, 3],
            "names": ["height", "width", "channels"],
            "info": {
                "video.height": self._size,
                "video.width": self._size,
                "video.codec": "mpeg4",
                "video.pix_fmt": "yuv420p",
                "video.is_depth_map": False,
                "video.fps": self._fps,
                "video.channels": 3,
                "has_audio": False,
            },
        }
        return {
            "codebase_version": VERSION,
            "robot_type": "rig_robot",
            "total_episodes": self.episodes,
            "total_frames": self.frames,
            "total_tasks": len(self._tasks),
            "chunks_size": FILES_PER_CHUNK,
            "data_files_size_in_mb": 100,
            "video_files_size_in_mb": 500,
            "fps": self._fps,
            "splits": {"train": f"0:{self.episodes}"},
            "data_path": DATA,
            "video_path": VIDEO,
            "features": {IMAGE: video, GOAL: video, **self._numbers()},
        }

    def _write_tasks(self) -> None:
        """Write the tasks as the table that pandas writes of a frame whose index they are."""
        index = "__index_level_0__"
        columns = [
            {"name": name, "field_name": field, "pandas_type": kind, "numpy_type": numpy, "metadata": None}
            for name, field, kind, numpy in (
                ("task_index", "task_index", "int64", "int64"),
                (None, index, "unicode", "object"),
            )
        ]
        pandas = {"index_columns": [index], "column_indexes": [], "columns": columns, "pandas_version": "2.0.0"}
        content: Columns = {"task_index": list(self._tasks.values()), index: list(self._tasks)}
        self._write_table("meta/tasks.parquet", content, {}, {b"pandas": json.dumps(pandas).encode()})

    def _write_table(
        self, name: str, columns: Columns, features: Mapping[str, Any], metadata: dict[bytes, bytes] | None = None
    ) -> None:
        """Write a parquet file; columns with a feature are of its type and, of several numbers, of fixed length."""
        import pyarrow
        from pyarrow import parquet

        def kind(key: str) -> Any:
            if key not in features:
                return None
            single, [count] = pyarrow.from_numpy_dtype(np.dtype(features[key]["dtype"])), features[key]["shape"]
            return single if count == 1 else pyarrow.list_(single, count)

        arrays = {key: pyarrow.array(column, type=kind(key)) for key, column in columns.items()}
        table = pyarrow.table(arrays)
        file = self._directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(table.replace_schema_metadata(metadata) if metadata else table, file)

    def _write_json(self, name: str, content: Any) -> None:
        (self._directory / name).write_text(json.dumps(content, indent=4) + "\n")


def _task(info: EpisodeInfo) -> str:
    """Return in words what an episode's policy was to do."""
    return _TASKS.get(info.mode, "reach what the goal picture shows")


def _statistics(values: Mapping[str, NDArray[Any]], pictures: Mapping[str, NDArray[np.uint8]]) -> Statistics:
    """Return smallest, largest, mean, deviation and count of each feature; of pictures for each colour, from 0 to 1."""
    found: Statistics = {}
    for key, column in values.items():
        found[key] = _summary(column.reshape(len(column), -1).astype(np.float64))
    for key, frames in pictures.items():
        colours = _summary(frames.reshape(-1, 3) / 255.0)
        found[key] = {name: [[[part]] for part in parts] for name, parts in colours.items()}
        found[key]["count"] = [len(frames)]
    return found


def _summary(rows: NDArray[np.float64]) -> dict[str, list[Any]]:
    """Return the statistics of rows [N, M] by column."""
    parts = {"min": rows.min(0), "max": rows.max(0), "mean": rows.mean(0), "std": rows.std(0)}
    return {name: part.tolist() for name, part in parts.items()} | {"count": [len(rows)]}


def _merged(episodes: Columns) -> Statistics:
    """Return the statistics of all episodes together from those of each."""
    merged: Statistics = {}
    for key in {column.split("/")[1] for column in episodes if column.startswith("stats/")}:
        each = {name: np.array(episodes[f"stats/{key}/{name}"]) for name in ("min", "max", "mean", "std", "count")}
        weight = each["count"].reshape(-1, *[1] * (each["mean"].ndim - 1)) / each["count"].sum()
        mean = (each["mean"] * weight).sum(0)
        variance = ((each["std"] ** 2 + (each["mean"] - mean) ** 2) * weight).sum(0)
        parts = {"min": each["min"].min(0), "max": each["max"].max(0), "mean": mean, "std": np.sqrt(variance)}
        merged[key] = {name: part.tolist() for name, part in parts.items()} | {"count": [int(each["count"].sum())]}
    return merged
