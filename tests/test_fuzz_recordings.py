"""No mutated picture, bag or episode ends in a traceback, a crash, a hang, or an error that does not name it."""

import io
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import test_foreign_bags
from fuzzing import assert_survives
from mcap.writer import CompressionType
from PIL import Image
from rosbags.rosbag2 import StoragePlugin
from test_foreign_bags import COMPRESSED, RAW, TOPIC, jpeg, mcap, rosbag
from test_foreign_bags import image as ros_image

from rig_robot.cameras.driver import CameraError, Ended
from rig_robot.cameras.playback import FileCamera
from rig_robot.commands.bags import run
from rig_robot.commands.options import BagsOptions
from rig_robot.recording import topics
from rig_robot.recording.bag_images import timed_pictures
from rig_robot.recording.episode_reader import find, latent_distances
from rig_robot.recording.recovery import left_open, recover
from rig_robot.recording.transitions import read_segments

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from standin.episodes import BEGIN, PERIOD, Recording, latent

EPISODE = "strange-episode"
NO_SUMMARY = dict.fromkeys(("use_statistics", "use_summary_offsets", "repeat_channels", "repeat_schemas"), False)


def small(number: int) -> bytes:
    return ros_image(BEGIN + number * PERIOD, np.full((6, 8, 3), 20 * number + 5, np.uint8))


def pictures() -> list[bytes]:
    """PNG and JPEG files of every kind, also turned, animated and of 16 bits."""
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    found = []
    for kind, modes in (("JPEG", ("RGB", "L", "CMYK")), ("PNG", ("RGB", "RGBA", "P", "1", "LA", "I;16"))):
        for mode in modes:
            deep = Image.fromarray(pixels[..., 0].astype(np.uint16) << 8)
            picture = deep if mode == "I;16" else Image.fromarray(pixels).convert(mode)
            turned = picture.getexif()
            turned[0x112] = 6
            for options in ({}, {"progressive": True} if kind == "JPEG" else {"optimize": True}):
                file = io.BytesIO()
                picture.save(file, kind, exif=turned, **options)
                found.append(file.getvalue())
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", save_all=True, append_images=[Image.fromarray(255 - pixels)])
    return [*found, file.getvalue()]


def parse_picture(file: Path) -> None:
    camera = FileCamera(file, 1000.0, "", False, time.time_ns)
    try:
        camera.open()
        frame = camera.read()
        assert frame.image.dtype == np.uint8 and frame.image.ndim == 3 and frame.image.shape[2] == 3
    except CameraError as error:
        raise ValueError(str(error)) from None
    with pytest.raises(Ended, match="is over"):
        camera.read()


def parse_bag(file: Path) -> None:
    said: list[str] = []
    count = sum(1 for _ in timed_pictures(file, "camera/image_raw", said.append))
    for text in said:
        assert file.name in text and "\n" not in text and len(text) <= 1000 and text.encode(), text
    assert count in (3, 10) or said, f"{count} pictures and no word"


def parse_metadata(file: Path) -> None:
    bag = _beside(file, "bag", lambda folder: rosbag(folder, qos=test_foreign_bags.QOS))
    shutil.copy(file, bag / "metadata.yaml")
    said: list[str] = []
    count = sum(1 for _ in timed_pictures(bag, "camera/image_raw", said.append))
    assert count == 10, "whatever the metadata say, the pictures are there"
    for text in said:
        assert str(bag) in text and "\n" not in text and len(text) <= 1000 and text.encode(), text


def parse_episode(file: Path) -> None:
    """Reads an episode as the trainer and `rig bags` do; the file is one of its two."""
    root = _beside(file, "root", lambda folder: episode(folder).parent)
    good = _beside(file, "good", lambda folder: episode(folder).parent)
    target = root / EPISODE / file.name
    shutil.copy(file, target)
    try:
        found, refused = find(root)
        run(BagsOptions(root))
        if refused:
            raise ValueError(refused[0][1])
        for info in found:
            read_segments(info, lambda text: None)
            latent_distances(info)
    finally:
        shutil.copy(good / EPISODE / file.name, target)


def parse_left_open(file: Path) -> None:
    """Recovers an episode, which must be there afterwards, or set aside by name."""
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        directory = Path(folder) / f".{EPISODE}.recording"
        directory.mkdir()
        shutil.copy(file, directory)
        became = recover(directory)
        assert became.directory.is_dir() and EPISODE in became.text and "\n" not in became.text
        if not became.whole:
            raise ValueError(became.text)
        good, refused = find(Path(folder))
        assert len(good) + len(refused) == 1


def _beside(file: Path, name: str, make):
    """A folder beside the mutated file that is made once in each process."""
    path = file.parent / name
    if not path.exists():
        make(path)
    return path


def episode(root: Path) -> Path:
    recording = Recording(root, EPISODE)
    recording.say(topics.GOAL_LATENT, latent(BEGIN - 1, [3.0, 0.0]), BEGIN - 1)
    for number in range(4):
        recording.step(number)
    return recording.close()


def mcap_files(folder: Path) -> Sequence[bytes]:
    """MCAP files of every making."""
    messages = [(0, small(number), number) for number in range(10)]
    plain = [(TOPIC, RAW, "ros2msg", "cdr")]
    folder.mkdir()
    paths = [
        *(mcap(folder / f"{kind}", plain, messages, compression=kind, chunk_size=400) for kind in CompressionType),
        mcap(folder / "loose", plain, messages, use_chunking=False),
        mcap(folder / "no_summary", plain, messages, chunk_size=400, **NO_SUMMARY),
        mcap(
            folder / "others",
            [(TOPIC, COMPRESSED, "ros2msg", "cdr"), ("/log", "foxglove.Log", "jsonschema", "json")],
            [*((0, jpeg(number), number) for number in range(3)), (1, b"{}", 1)],
        ),
    ]
    return [path.read_bytes() for path in paths]


def sqlite_files(folder: Path) -> Sequence[bytes]:
    path = rosbag(folder, storage=StoragePlugin.SQLITE3) / f"{folder.name}.db3"
    found = []
    for page_size in (512, 4096):
        database = sqlite3.connect(path)
        database.execute(f"PRAGMA page_size = {page_size}")
        database.execute("UPDATE messages SET data = ?", (small(1),))
        database.commit()
        database.execute("VACUUM")
        database.close()
        found.append(path.read_bytes())
    return found


def test_no_mutated_picture_is_shown_wrongly_or_ends_playback(tmp_path):
    assert_survives(parse_picture, pictures(), tmp_path, "foreign.jpg")


def test_no_mutated_mcap_file_ends_in_anything_but_its_pictures_and_their_names(tmp_path):
    seeds = mcap_files(tmp_path / "seeds")
    assert_survives(parse_bag, seeds, _empty(tmp_path), "foreign.mcap")


def test_no_mutated_sqlite3_file_ends_in_anything_but_its_pictures_and_their_names(tmp_path):
    seeds = sqlite_files(tmp_path / "seeds")
    assert_survives(parse_bag, seeds, _empty(tmp_path), "foreign.db3")


def test_no_mutated_metadata_of_a_bag_cost_a_picture(tmp_path):
    seeds = [
        (rosbag(tmp_path / name, storage=kind) / "metadata.yaml").read_bytes()
        for name, kind in (("bag", StoragePlugin.MCAP), ("b", StoragePlugin.SQLITE3))
    ]
    assert_survives(parse_metadata, seeds, _empty(tmp_path), "metadata.yaml")


@pytest.mark.parametrize("name", ["metadata.yaml", f"{EPISODE}_0.mcap"])
def test_no_mutated_episode_ends_the_trainers_reading_or_rig_bags(tmp_path, name):
    seed = (episode(tmp_path / "seeds") / name).read_bytes()
    assert_survives(parse_episode, [seed], _empty(tmp_path), name, EPISODE)


def test_no_mutated_recording_ends_the_recovery_of_episodes(tmp_path):
    recording = Recording(tmp_path / "seeds", EPISODE)
    for number in range(6):
        recording.step(number)
        if number % 2:
            recording.writer.sync()
    recording.writer.abandon()
    (left,) = left_open(tmp_path / "seeds")
    seeds = [next(left.glob("*.mcap")).read_bytes(), next(episode(tmp_path / "whole").glob("*.mcap")).read_bytes()]
    assert_survives(parse_left_open, seeds, _empty(tmp_path), f"{EPISODE}_0.mcap", EPISODE)


def _empty(folder: Path) -> Path:
    (folder / "files").mkdir()
    return folder / "files"
