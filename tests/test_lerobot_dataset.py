"""The exported dataset has the files, columns and types of a LeRobotDataset v3.0, and the recorded steps in them."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pyarrow = pytest.importorskip("pyarrow")
from pyarrow import parquet  # noqa: E402

from rig_robot.commands.export_bags import run  # noqa: E402
from rig_robot.commands.options import ExportOptions  # noqa: E402
from rig_robot.recording import lerobot_dataset  # noqa: E402
from rig_robot.recording.episode_reader import find  # noqa: E402
from rig_robot.recording.lerobot_dataset import GOAL, IMAGE, CannotExport, LeRobotDataset  # noqa: E402
from rig_robot.recording.transitions import Segment, read_segments  # noqa: E402

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from standin.episodes import write  # noqa: E402

FILE = "chunk-000/file-000"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three recorded episodes."""
    root = tmp_path_factory.mktemp("episodes")
    for number in range(3):
        write(root, f"E{number}", 12 + number)
    return root


@pytest.fixture(scope="module")
def dataset(recorded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "dataset"
    assert run(ExportOptions("export", recorded, out)) == 0
    return out


def segments(recorded: Path) -> list[Segment]:
    return [segment for info in find(recorded)[0] for segment in read_segments(info)]


def table(dataset: Path, name: str) -> dict[str, list[Any]]:
    return parquet.read_table(dataset / name).to_pydict()


def test_the_files_are_those_of_the_format(dataset: Path) -> None:
    found = {str(file.relative_to(dataset)) for file in dataset.rglob("*") if file.is_file()}
    videos = {f"videos/{key}/{FILE}.mp4" for key in (IMAGE, GOAL)}
    meta = {"meta/info.json", "meta/stats.json", "meta/tasks.parquet", f"meta/episodes/{FILE}.parquet"}
    assert found == {f"data/{FILE}.parquet"} | videos | meta


def test_info_describes_every_column_with_its_type_and_shape(dataset: Path) -> None:
    info = json.loads((dataset / "meta/info.json").read_text())
    assert info["codebase_version"] == "v3.0" and info["splits"] == {"train": f"0:{info['total_episodes']}"}
    schema = parquet.read_schema(dataset / "data" / f"{FILE}.parquet")
    numbers = {name: feature for name, feature in info["features"].items() if feature["dtype"] != "video"}
    assert set(schema.names) == set(numbers)
    for name, feature in numbers.items():
        kind, [count] = schema.field(name).type, feature["shape"]
        if count == 1:
            assert str(kind).replace("float", "float32") == feature["dtype"], name
        else:
            assert kind.list_size == count and str(kind.value_type) == "float", name
            assert len(feature["names"]) == count
    for key in ("timestamp", "frame_index", "episode_index", "index", "task_index"):
        assert key in numbers, "every LeRobotDataset has it"
    place = {"chunk_index": 0, "file_index": 0}
    assert (dataset / info["data_path"].format(**place)).is_file()
    assert (dataset / info["video_path"].format(video_key=IMAGE, **place)).is_file()


def test_the_recorded_steps_are_in_it_one_after_the_other(dataset: Path, recorded: Path) -> None:
    rows, wanted = table(dataset, f"data/{FILE}.parquet"), segments(recorded)
    info = find(recorded)[0][0]
    full = info.action.scale_m / info.action.period_s
    assert np.allclose(rows["action"], full * np.concatenate([s.actions for s in wanted]), atol=1e-6)
    assert np.allclose(rows["observation.state"], np.concatenate([s.positions[:-1] for s in wanted]))
    assert rows["stamp_ns"] == np.concatenate([s.stamps[:-1] for s in wanted]).tolist()
    lengths = [len(s.actions) for s in wanted]
    assert rows["episode_index"] == np.repeat(np.arange(len(lengths)), lengths).tolist()
    assert rows["frame_index"] == [step for length in lengths for step in range(length)]
    assert rows["index"] == list(range(sum(lengths)))
    fps = json.loads((dataset / "meta/info.json").read_text())["fps"]
    assert fps == round(1 / info.action.period_s)
    assert np.allclose(rows["timestamp"], np.array(rows["frame_index"]) / fps)


def video(file: Path) -> np.ndarray:
    """Every frame of a video, [T, H, W, 3] RGB."""
    opened = cv2.VideoCapture(str(file))
    frames = []
    while (read := opened.read())[0]:
        frames.append(read[1][..., ::-1])
    opened.release()
    return np.stack(frames)


def test_the_videos_have_a_frame_for_each_step_that_looks_like_it(recorded: Path, tmp_path: Path) -> None:
    """With pictures as a camera makes them: those of the recorded episodes here are noise, which no video keeps."""
    info = find(recorded)[0][0]
    info = dataclasses.replace(info, camera=dataclasses.replace(info.camera, image_size=48))
    shade = np.linspace(60, 180, 48)[:, None, None] * np.array([1.0, 0.9, 0.7])
    frames = np.repeat(shade, 48, axis=1)[None].repeat(41, axis=0).astype(np.uint8)
    for step, frame in enumerate(frames):
        frame[20:30, step : step + 7] = (220, 60, 40)
    segment = segments(recorded)[0]
    made = segment._replace(
        images=frames,
        actions=np.zeros((40, 2), np.float32),
        positions=np.zeros((41, 3), np.float32),
        stamps=np.arange(41),
        goal=frames[-1],
    )
    dataset = LeRobotDataset(tmp_path / "out", info)
    dataset.add(made, info)
    dataset.close()
    seen = video(tmp_path / "out" / "videos" / IMAGE / f"{FILE}.mp4")
    assert seen.shape == frames[:-1].shape
    off = np.array([np.abs(frames[:-1].astype(float) - view).mean(axis=(1, 2, 3)) for view in seen])
    assert (off.argmin(axis=1) == np.arange(40)).all(), "frames are shifted against the steps"
    assert off.diagonal().max() < 8.0, "grey levels"
    goal = video(tmp_path / "out" / "videos" / GOAL / f"{FILE}.mp4")
    assert len(goal) == 40 and np.abs(goal.astype(float) - frames[-1]).mean() < 8.0


def test_each_episode_says_where_its_rows_and_frames_are(dataset: Path, recorded: Path) -> None:
    rows = table(dataset, f"meta/episodes/{FILE}.parquet")
    lengths = [len(s.actions) for s in segments(recorded)]
    assert rows["length"] == lengths and rows["episode_index"] == list(range(len(lengths)))
    ends = np.cumsum(lengths)
    assert rows["dataset_to_index"] == ends.tolist() and rows["dataset_from_index"] == [0, *ends[:-1].tolist()]
    for key in (IMAGE, GOAL):
        assert np.allclose(rows[f"videos/{key}/from_timestamp"], (ends - lengths) / 10)
        assert np.allclose(rows[f"videos/{key}/to_timestamp"], ends / 10)
        assert set(rows[f"videos/{key}/file_index"]) == set(rows["data/file_index"]) == {0}


def test_tasks_are_the_index_of_a_table_of_pandas(dataset: Path) -> None:
    found = parquet.read_table(dataset / "meta/tasks.parquet")
    pandas = json.loads(found.schema.metadata[b"pandas"])
    assert pandas["index_columns"] == ["__index_level_0__"]
    assert found.to_pydict()["task_index"] == [0]
    episodes = table(dataset, f"meta/episodes/{FILE}.parquet")
    assert episodes["tasks"][0] == [found.to_pydict()["__index_level_0__"][0]]


def test_pandas_reads_the_tasks_by_their_names(dataset: Path) -> None:
    pandas = pytest.importorskip("pandas")
    tasks = pandas.read_parquet(dataset / "meta/tasks.parquet")
    assert int(tasks.loc[tasks.index[0]].task_index) == 0 and isinstance(tasks.iloc[0].name, str)


def test_statistics_are_those_of_the_whole(dataset: Path) -> None:
    stats = json.loads((dataset / "meta/stats.json").read_text())
    rows = table(dataset, f"data/{FILE}.parquet")
    for key in ("action", "observation.state", "frame_index"):
        values = np.array(rows[key], float).reshape(len(rows[key]), -1)
        for name, right in (("min", values.min(0)), ("max", values.max(0)), ("mean", values.mean(0))):
            assert np.allclose(stats[key][name], right, atol=1e-6), (key, name)
        assert np.allclose(stats[key]["std"], values.std(0), atol=1e-6) and stats[key]["count"] == [len(values)]
    assert np.shape(stats[IMAGE]["mean"]) == (3, 1, 1) and 0 < stats[IMAGE]["mean"][0][0][0] < 1
    assert set(stats) == set(json.loads((dataset / "meta/info.json").read_text())["features"])


def test_a_long_dataset_is_split_into_files(recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lerobot_dataset, "FRAMES_PER_FILE", 15)
    monkeypatch.setattr(lerobot_dataset, "FILES_PER_CHUNK", 2)
    assert run(ExportOptions("export", recorded, tmp_path / "out")) == 0
    rows = table(tmp_path / "out", f"meta/episodes/{FILE}.parquet")
    places = list(zip(rows["data/chunk_index"], rows["data/file_index"], strict=True))
    assert places == [(0, 0), (0, 1), (1, 0)]
    for chunk, file in places:
        name = f"chunk-{chunk:03d}/file-{file:03d}"
        count = len(table(tmp_path / "out", f"data/{name}.parquet")["index"])
        assert count == len(video(tmp_path / "out" / "videos" / IMAGE / f"{name}.mp4"))
    assert set(rows[f"videos/{IMAGE}/from_timestamp"]) == {0.0}, "times count from the beginning of each file"


def test_what_cannot_be_used_is_left_out_by_name_and_the_rest_is_written(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "episodes"
    root.mkdir()
    (root / "E0").symlink_to(recorded / "E0")
    (root / "broken").mkdir()
    assert run(ExportOptions("export", root, tmp_path / "out")) == 1
    said = capsys.readouterr().out
    assert "1 episodes, " in said and f"left out: {root / 'broken'} is empty" in said
    assert (tmp_path / "out" / "meta" / "info.json").is_file()


def test_steps_without_a_measured_position_are_left_out_by_name(
    recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from rig_robot.commands import export_bags

    def unmeasured(info: Any) -> list[Segment]:
        whole = read_segments(info)
        return [s._replace(positions=np.full_like(s.positions, np.nan)) if info.id == "E1" else s for s in whole]

    monkeypatch.setattr(export_bags, "read_segments", unmeasured)
    assert run(ExportOptions("export", recorded, tmp_path / "out")) == 1
    assert f"left out: {recorded / 'E1'}: " in capsys.readouterr().out


def test_nothing_half_written_is_left(recorded: Path, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    with pytest.raises(ValueError, match="no episodes in"):
        run(ExportOptions("export", tmp_path / "none", tmp_path / "out"))
    with pytest.raises(ValueError, match=r"out is .*, which exists: name a new directory"):
        run(ExportOptions("export", recorded, tmp_path / "none"))
    assert {path.name for path in tmp_path.iterdir()} == {"none"}


def test_a_period_that_is_no_whole_rate_is_refused(recorded: Path, tmp_path: Path) -> None:
    info = find(recorded)[0][0]
    odd = dataclasses.replace(info, action=dataclasses.replace(info.action, period_s=0.15))
    with pytest.raises(CannotExport, match=r"a step every 0\.15 s is 6\.66667 a second"):
        LeRobotDataset(tmp_path / "out", odd)
    assert not (tmp_path / "out").exists()


def test_the_list_of_episodes_goes_on_beside_the_export(recorded: Path, tmp_path: Path) -> None:
    def rig(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "rig_robot.cli", "bags", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)

    listed, exported = rig(recorded), rig("export", recorded, "--to", "lerobot", "--out", "data")
    assert "3 episodes" in listed.stdout and "3 episodes" in exported.stdout, exported.stderr
    (tmp_path / "export").mkdir()
    assert "no episodes in export" in rig("export").stdout, "a folder may be called so"
    assert rig("export", recorded).returncode == 2, "--out must be given"
