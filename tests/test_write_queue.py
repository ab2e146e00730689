"""The queue between the recorder's callbacks and the disk: what does not fit, is lost or finds no room is counted."""

import shutil
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import Reader
from small_disk import small_disk

from rig_robot.recording import recovery, topics
from rig_robot.recording.episode_reader import find, read_info
from rig_robot.recording.episode_writer import EpisodeWriter
from rig_robot.recording.jpeg import compress
from rig_robot.recording.write_queue import WriteQueue

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from standin.episodes import BEGIN, TOPICS, about, image, latent, status


def spool(root: Path, capacity: int = 2**20, min_free: int = 0, **other: object) -> tuple[WriteQueue, list[str]]:
    said: list[str] = []
    made = WriteQueue(root, capacity, min_free, other.get("convert"), lambda text, bad: said.append(text))  # type: ignore[arg-type]
    return made, said


def test_what_does_not_fit_into_the_queue_is_counted_camera_pictures_first(tmp_path, monkeypatch):
    waits, disk = threading.Event(), threading.Event()

    def slow(writer: EpisodeWriter) -> None:
        waits.set()
        disk.wait(10)

    monkeypatch.setattr(EpisodeWriter, "sync", slow)
    made, _ = spool(tmp_path, capacity=100_000)
    made.begin("E", TOPICS, about())
    made.take(topics.STATUS, status(state="moving"), BEGIN, BEGIN)
    assert waits.wait(10)
    frame = bytes(20_000)
    taken = [made.take(topics.CAMERA, frame, BEGIN + number, BEGIN) for number in range(10)]
    small = [made.take(topics.LATENT, latent(BEGIN, [0.0] * 16), BEGIN + number, BEGIN) for number in range(100)]
    assert taken == [True] * 3 + [False] * 7 and all(small)
    assert not made.take(topics.LATENT, bytes(50_000), BEGIN, BEGIN), "in the end there is no room for anything"
    disk.set()
    made.end("done")
    assert made.stop(10)
    info = read_info(tmp_path / "E")
    assert info.drops == {"camera": 7, "rig/latent": 1} and made.missing == 8
    assert info.messages["camera"] == 3 and info.messages["rig/latent"] == 100


def test_messages_that_dds_lost_are_counted_with_the_episode_that_lacks_them(tmp_path):
    made, _ = spool(tmp_path)
    made.begin("E", TOPICS, about())
    made.take(topics.LATENT, latent(BEGIN, [0.0]), BEGIN, BEGIN)
    made.lost(topics.LATENT, 4)
    made.end("done")
    made.begin("F", TOPICS, about("F"))
    made.take(topics.LATENT, latent(BEGIN, [0.0]), BEGIN, BEGIN)
    made.end("done")
    assert made.stop(10)
    assert [info.drops for info in find(tmp_path)[0]] == [{"rig/latent": 4}, {}]


def test_a_picture_that_cannot_be_compressed_is_counted_and_the_rest_goes_on(tmp_path):
    made, said = spool(tmp_path, convert=compress)
    made.begin("E", TOPICS, about())
    good = image(BEGIN, np.full((48, 64, 3), 200, np.uint8))
    made.take(topics.CAMERA, good, BEGIN, BEGIN)
    made.take(topics.CAMERA, good.replace(b"rgb8", b"yuv9"), BEGIN, BEGIN)
    made.take(topics.CAMERA, b"\x00\x01\x00\x00", BEGIN, BEGIN)
    made.take(topics.LATENT, latent(BEGIN, [0.0]), BEGIN, BEGIN)
    made.end("done")
    assert made.stop(10)
    info = read_info(tmp_path / "E")
    assert info.drops == {"camera": 2} and info.messages["camera"] == info.messages["rig/latent"] == 1
    assert any("yuv9" in text for text in said)


@pytest.fixture
def full_soon(tmp_path) -> Iterator[Path]:
    """A disk of 24 MiB."""
    with small_disk(tmp_path / "disk", 24) as folder:
        yield folder


def test_a_disk_that_is_nearly_full_ends_the_recording_before_it_is_full(full_soon):
    made, said = spool(full_soon, capacity=64 * 2**20, min_free=8 * 2**20)
    made.begin("E", TOPICS, about())
    for number in range(40):
        made.take(topics.CAMERA, bytes(2**20), BEGIN + number, BEGIN)
        time.sleep(0.01)
    made.end("done")
    made.begin("F", TOPICS, about("F"))
    made.take(topics.LATENT, latent(BEGIN, [0.0]), BEGIN, BEGIN)
    made.end("done")
    assert made.stop(10)
    ((info,), refused) = find(full_soon)
    assert info.id == "E" and not refused and info.ended == "the disk is nearly full"
    assert 13 <= info.messages["camera"] <= 19 and shutil.disk_usage(full_soon).free > 3 * 2**20
    assert "GiB left" in made.trouble and any("nothing is recorded" in text for text in said)
    with Reader(info.file) as reader:
        assert len(list(reader.messages())) == info.messages["camera"]
    (full_soon / "E" / "E_0.mcap").unlink()  # somebody makes room
    again, _ = spool(full_soon, min_free=8 * 2**20)
    again.begin("G", TOPICS, about("G"))
    again.take(topics.LATENT, latent(BEGIN, [0.0]), BEGIN, BEGIN)
    again.end("done")
    assert again.stop(10) and not again.trouble and read_info(full_soon / "G").messages["rig/latent"] == 1


def test_a_disk_that_is_full_all_the_same_loses_one_episode_at_most_and_says_so(full_soon):
    made, said = spool(full_soon, capacity=64 * 2**20)  # min_free 0: as if somebody else had filled it
    made.begin("E", TOPICS, about())
    for number in range(40):
        made.take(topics.CAMERA, bytes(2**20), BEGIN + number, BEGIN)
    made.end("done")
    assert made.stop(10)
    assert "No space left" in made.trouble and made.trouble in said and find(full_soon) == ([], [])
    (left,) = recovery.left_open(full_soon)
    became = recovery.recover(left)
    assert became.whole and read_info(became.directory).messages["camera"] >= 8
