"""A LeRobotDataset becomes recorded episodes: what was exported comes back, what does not fit is refused by name."""

import dataclasses
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pyarrow = pytest.importorskip("pyarrow")
from pyarrow import parquet  # noqa: E402

from rig_robot.checkpoints.checkpoint import read_config  # noqa: E402
from rig_robot.checkpoints.config import CheckpointConfig  # noqa: E402
from rig_robot.commands.import_bags import run  # noqa: E402
from rig_robot.commands.options import ImportOptions  # noqa: E402
from rig_robot.recording import lerobot_dataset  # noqa: E402
from rig_robot.recording.episode_reader import EpisodeInfo, find  # noqa: E402
from rig_robot.recording.lerobot_dataset import GOAL, IMAGE, LeRobotDataset  # noqa: E402
from rig_robot.recording.lerobot_reader import CannotImport  # noqa: E402
from rig_robot.recording.transitions import Segment, read_segments  # noqa: E402

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from standin.episodes import write  # noqa: E402
from test_lerobot_dataset import video  # noqa: E402

FILE = "chunk-000/file-000"
LENGTHS = (12, 9, 20)


def scene(step: int, size: int, colour: int = 40) -> np.ndarray:
    """A picture as a camera makes it, uint8 [size, size, 3]: noise would not survive a video."""
    shade = np.linspace(60, 180, size)[:, None, None] * np.array([1.0, 0.9, 0.7])
    picture = np.repeat(shade, size, axis=1).astype(np.uint8)
    left = (size - 12) * step // (max(LENGTHS) + 1)
    picture[4:-4, left : left + 12] = (250, 20, colour)
    return picture


def segment(like: CheckpointConfig, steps: int, seed: int) -> Segment:
    size, axes = like.camera.image_size, len(like.action.axes)
    rng = np.random.default_rng(seed)
    period = round(1e9 * like.action.period_s)
    return Segment(
        images=np.stack([scene(step, size, 100 * seed) for step in range(steps + 1)]),
        actions=rng.uniform(-1, 1, (steps, axes)).astype(np.float32),
        positions=rng.uniform(0.4, 0.8, (steps + 1, 3)).astype(np.float32),
        stamps=1_700_000_000_000_000_000 + (1000 * seed + np.arange(steps + 1)) * period,
        goal=scene(max(LENGTHS), size) if seed else None,
    )


@pytest.fixture(scope="module")
def like(checkpoint: Path) -> CheckpointConfig:
    return read_config(checkpoint)


@pytest.fixture(scope="module")
def recorded(like: CheckpointConfig) -> list[Segment]:
    return [segment(like, steps, seed) for seed, steps in enumerate(LENGTHS)]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory, like: CheckpointConfig, recorded: list[Segment]) -> Path:
    """What `rig bags export` writes of these steps, with a file for every two episodes."""
    root = tmp_path_factory.mktemp("dataset")
    entries = {"camera": like.camera, "action": like.action, "workspace": like.workspace}
    info: EpisodeInfo = dataclasses.replace(find(write(root / "episodes", "E").parent)[0][0], **entries)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lerobot_dataset, "FRAMES_PER_FILE", 25)
        made = LeRobotDataset(root / "dataset", info)
        for each in recorded:
            made.add(each, info)
        made.close()
    return root / "dataset"


def test_what_was_exported_comes_back(dataset: Path, checkpoint: Path, recorded: list[Segment], tmp_path: Path) -> None:
    assert run(ImportOptions("import", dataset, tmp_path / "in", str(checkpoint))) == 0
    good, refused = find(tmp_path / "in", read_config(checkpoint))
    assert not refused and [info.mode for info in good] == ["explore", "reach", "reach"]
    shown = np.concatenate([video(file) for file in sorted((dataset / "videos" / IMAGE).rglob("*.mp4"))])
    for info, wanted in zip(good, recorded, strict=True):
        [found] = read_segments(info)
        steps = len(wanted.actions) - 1  # the frame after the last action is not in a LeRobotDataset
        assert np.allclose(found.actions, wanted.actions[:steps], atol=1e-5)
        assert np.allclose(found.positions, wanted.positions[: steps + 1], atol=1e-6)
        assert (found.stamps == wanted.stamps[: steps + 1]).all()
        assert (found.images == shown[: steps + 1]).all(), "each step's frame is that of the video"
        assert np.abs(found.images.astype(float) - wanted.images[: steps + 1]).mean() < 8.0, "grey levels"
        shown = shown[steps + 1 :]
        if wanted.goal is None:
            assert found.goal is None
        else:
            assert found.goal is not None and np.abs(found.goal.astype(float) - wanted.goal).mean() < 8.0


def changed(dataset: Path, place: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy of the dataset whose meta/info.json is changed."""
    shutil.copytree(dataset, place)
    info = json.loads((place / "meta/info.json").read_text())
    change(info)
    (place / "meta/info.json").write_text(json.dumps(info))
    return place


def without_image(info: dict[str, Any]) -> None:
    del info["features"][IMAGE]


def two_cameras(info: dict[str, Any]) -> None:
    info["features"]["observation.images.wrist"] = info["features"][IMAGE]


def seven_joints(info: dict[str, Any]) -> None:
    info["features"]["action"] = {"dtype": "float32", "shape": [7], "names": ["j1"]}


def no_unit(info: dict[str, Any]) -> None:
    info["features"]["action"]["names"] = ["dx", "dy"]


def faster(info: dict[str, Any]) -> None:
    info["fps"] = 50


def older(info: dict[str, Any]) -> None:
    info["codebase_version"] = "v2.1"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (without_image, "must have one camera's pictures; there are: none: no feature is a video"),
        (two_cameras, r"there are: observation.images.camera, observation.images.wrist: choose the camera by --image"),
        (seven_joints, r"action is of shape \[7\], names \['j1'\]; .* motion along x, y: shape \[2\]"),
        (no_unit, r"named \['dx', 'dy'\], which does not say a unit .* --unit m/s .* --unit m "),
        (faster, "fps is 50; the checkpoint's actions are 10 a second"),
        (older, "codebase_version is 'v2.1'; only 'v3.0' is read"),
    ],
)
def test_what_does_not_fit_is_refused_by_name_and_nothing_is_written(
    dataset: Path, checkpoint: Path, tmp_path: Path, change: Callable, named: str
) -> None:
    place = changed(dataset, tmp_path / "changed", change)
    with pytest.raises(CannotImport, match=named):
        run(ImportOptions("import", place, tmp_path / "in", str(checkpoint)))
    assert {file.name for file in tmp_path.iterdir()} == {"changed"}


def test_of_several_cameras_the_chosen_one_is_taken(dataset: Path, checkpoint: Path, tmp_path: Path) -> None:
    place = changed(dataset, tmp_path / "changed", two_cameras)
    assert run(ImportOptions("import", place, tmp_path / "in", str(checkpoint), image=IMAGE)) == 0
    with pytest.raises(CannotImport, match=r"has no pictures 'observation.images.side'; there are: .*wrist"):
        run(ImportOptions("import", place, tmp_path / "other", str(checkpoint), image="observation.images.side"))


def test_a_way_in_a_step_is_a_velocity_and_one_beyond_the_robot_is_refused(
    dataset: Path, checkpoint: Path, like: CheckpointConfig, recorded: list[Segment], tmp_path: Path
) -> None:
    place = changed(dataset, tmp_path / "steps", no_unit)
    with pytest.raises(CannotImport, match=r"has an action of .* m/s; the checkpoint's reach .* \(is the unit right\?"):
        run(ImportOptions("import", place, tmp_path / "in", str(checkpoint), unit="m"))
    for file in sorted((place / "data").rglob("*.parquet")):
        table = parquet.read_table(file)
        ways = [[like.action.period_s * part for part in row] for row in table["action"].to_pylist()]
        parquet.write_table(table.set_column(table.schema.get_field_index("action"), "action", [ways]), file)
    assert run(ImportOptions("import", place, tmp_path / "in", str(checkpoint), unit="m")) == 0
    [found] = read_segments(find(tmp_path / "in")[0][0])
    assert np.allclose(found.actions, recorded[0].actions[:-1], atol=1e-5)


@pytest.mark.parametrize(
    ("file", "named"),
    [
        (f"videos/{IMAGE}/{FILE}.mp4", "file-000.mp4: frame .* cannot be decoded"),
        (f"data/{FILE}.parquet", "file-000.parquet cannot be read"),
        (f"meta/episodes/{FILE}.parquet", "file-000.parquet cannot be read"),
        ("meta/info.json", "is no LeRobotDataset: info.json"),
        (f"videos/{GOAL}/{FILE}.mp4", "file-000.mp4: frame 0 cannot be decoded"),
    ],
)
def test_a_file_that_is_cut_short_is_named(
    dataset: Path, checkpoint: Path, tmp_path: Path, file: str, named: str
) -> None:
    place = shutil.copytree(dataset, tmp_path / "cut")
    whole = (place / file).read_bytes()
    (place / file).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CannotImport, match=named):
        run(ImportOptions("import", place, tmp_path / "in", str(checkpoint)))
    assert not (tmp_path / "in").exists()
