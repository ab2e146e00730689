"""Bags of other programs: what can be read is read; each picture that cannot is named: bag, topic, number.

All bags here have ten pictures of a grey each, 64x48, 10 a second, on /camera/image_raw.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml
import zstandard
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter
from PIL import Image
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from small_disk import small_disk

from rig_robot.recording.bag_images import read_pictures, timed_pictures
from rig_robot.recording.bag_reader import BagError, is_bag
from rig_robot.recording.rosbag2_format import types
from rig_robot.vision.observation import Crop

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from standin.episodes import BEGIN, PERIOD, cdr, header, image

TOPIC, RAW, COMPRESSED = "/camera/image_raw", "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
ALL = list(range(10))
QOS = Qos(
    *(QosHistory.KEEP_LAST, 5, QosReliability.BEST_EFFORT, QosDurability.VOLATILE, QosTime(0, 0), QosTime(0, 0)),
    *(QosLiveliness.AUTOMATIC, QosTime(0, 0), False),
)


def raw(number: int) -> bytes:
    return image(BEGIN + number * PERIOD, np.full((48, 64, 3), 20 * number + 5, np.uint8))


def jpeg(number: int, size: int | None = None, kind: str = "JPEG", mode: str = "RGB") -> bytes:
    """A compressed picture, of whose bytes only so many are there."""
    file = io.BytesIO()
    if mode == "I;16":
        picture = Image.fromarray(np.full((48, 64), 5000, np.uint16))
    else:
        picture = Image.fromarray(np.full((48, 64, 3), 20 * number + 5, np.uint8)).convert(mode)
    picture.save(file, kind)
    return compressed(number, file.getvalue()[:size])


def compressed(number: int, data: bytes) -> bytes:
    return cdr(COMPRESSED, header=header(BEGIN + number * PERIOD), format="jpeg", data=np.frombuffer(data, np.uint8))


def rosbag(
    path: Path, which: Sequence[int] = ALL, qos: Qos = QOS, storage: StoragePlugin = StoragePlugin.MCAP, **given: str
) -> Path:
    with Writer(path, version=9, storage_plugin=storage) as writer:
        connection = writer.add_connection(TOPIC, RAW, typestore=types(), offered_qos_profiles=[qos])
        for number in which:
            writer.write(connection, BEGIN + number * PERIOD, raw(number))
    return path


def change(folder: Path, how: Callable[[dict], object]) -> None:
    """Change a bag's metadata.yaml by hand."""
    file = folder / "metadata.yaml"
    content = yaml.safe_load(file.read_text())
    how(content["rosbag2_bagfile_information"])
    file.write_text(yaml.safe_dump(content))


def mcap(
    path: Path,
    channels: Sequence[tuple[str, str, str, str]] = ((TOPIC, RAW, "ros2msg", "cdr"),),
    messages: Sequence[tuple[int, bytes, int]] | None = None,
    **given: object,
) -> Path:
    """An MCAP file. Channels: topic, type, encoding of the type, of the messages. Messages: channel, data, number."""
    with path.open("wb") as file:
        writer = McapWriter(file, **{"chunk_size": 20_000, **given})  # type: ignore[arg-type]
        writer.start(profile="", library="test")
        ids = []
        for topic, kind, schema, encoding in channels:
            text = types().generate_msgdef(kind, ros_version=2)[0].encode() if schema == "ros2msg" else b"{}"
            ids.append(writer.register_channel(topic, encoding, writer.register_schema(kind, schema, text)))
        for channel, data, number in messages or [(0, raw(number), number) for number in ALL]:
            writer.add_message(ids[channel], BEGIN + number * PERIOD, data, BEGIN)
        writer.finish()
    return path


def read(path: Path) -> tuple[list[int], list[str]]:
    """The numbers of the pictures that are read, and what is said."""
    said: list[str] = []
    found = [
        round((float(picture.mean()) - 5) / 20) for _, picture in timed_pictures(path, "camera/image_raw", said.append)
    ]
    assert all(str(path) in text for text in said), said
    return found, said


# ---- channels


@pytest.mark.parametrize("schema, encoding", [("jsonschema", "json"), ("protobuf", "protobuf"), ("ros1msg", "ros1")])
def test_a_channel_of_a_foreign_encoding_costs_no_picture_of_the_others(tmp_path, schema, encoding):
    channels = [(TOPIC, RAW, "ros2msg", "cdr"), ("/log", "foxglove.Log", schema, encoding), ("/x", "", "", "json")]
    messages = [(0, raw(number), number) for number in ALL] + [(1, b"{}", 3), (2, b"{}", 4)]
    assert read(mcap(tmp_path / "a.mcap", channels, messages)) == (ALL, [])


def test_several_channels_of_one_topic_are_read_as_one_whatever_their_types(tmp_path):
    channels = [
        (TOPIC, RAW, "ros2msg", "cdr"),
        (TOPIC, RAW, "ros2idl", "cdr"),  # the same type, described otherwise
        (TOPIC, COMPRESSED, "ros2msg", "cdr"),
        (TOPIC, "foxglove.CompressedImage", "protobuf", "protobuf"),
    ]
    messages = [(number % 2, raw(number), number) for number in range(5)] + [(2, jpeg(5), 5), (3, b"\x0a", 6)]
    messages += [(0, raw(number), number) for number in (7, 8, 9)]
    found, said = read(mcap(tmp_path / "a.mcap", channels, messages))
    assert found == [0, 1, 2, 3, 4, 5, 7, 8, 9]
    assert f"a channel of {TOPIC} holds foxglove.CompressedImage as protobuf and is passed over" in said[0]
    assert f"9 messages of {TOPIC} were read, its file says 10" in said[1] and len(said) == 2


def test_a_bag_without_pictures_of_ros_2_says_what_it_holds(tmp_path):
    path = mcap(tmp_path / "a.mcap", [(TOPIC, "foxglove.RawImage", "protobuf", "protobuf")], [(0, b"", 0)])
    with pytest.raises(BagError, match=r"holds /camera/image_raw \(foxglove.RawImage, protobuf\)"):
        read(path)


# ---- metadata.yaml


def test_a_qos_profile_that_was_edited_in_the_metadata_costs_no_picture(tmp_path):
    change(
        rosbag(tmp_path / "bag"),
        lambda it: it["topics_with_message_count"][0]["topic_metadata"].update(offered_qos_profiles=[]),
    )
    assert read(tmp_path / "bag") == (ALL, [])


def test_a_second_file_with_another_qos_profile_and_a_count_that_is_wrong_cost_no_picture(tmp_path):
    first, second = rosbag(tmp_path / "bag", range(5)), rosbag(tmp_path / "part", range(5, 10), QOS._replace(depth=1))
    shutil.move(second / "part.mcap", first / "part.mcap")
    change(first, lambda it: it.update(relative_file_paths=["part.mcap", "bag.mcap"], message_count=10))
    found, said = read(first)
    assert found == ALL, "in the order of time, not of the list"
    assert said == [f"{first}: 10 messages of {TOPIC} were read, its metadata.yaml says 5"]


@pytest.mark.parametrize("storage", StoragePlugin)
@pytest.mark.parametrize(
    "wrong, words",
    [
        (
            lambda it: it["topics_with_message_count"][0].update(message_count=12),
            "10 messages .* were read, its metadata.yaml says 12",
        ),
        (lambda it: it["topics_with_message_count"][0]["topic_metadata"].update(type="std_msgs/msg/String"), ""),
        (lambda it: it.update(topics_with_message_count=[]), ""),
        (lambda it: it.update(topics_with_message_count=3), "topics_with_message_count is '3', expected a list"),
        (
            lambda it: it.update(relative_file_paths=["old_0.mcap"]),
            "old_0.mcap of its metadata.yaml are not there; bag.* instead",
        ),
        (lambda it: it.update(relative_file_paths=[]), "its metadata.yaml names no file; bag.* instead"),
        (
            lambda it: it.update(relative_file_paths=["a" * 300]),
            "aaa of its metadata.yaml are not there",
        ),
        (lambda it: it.update(relative_file_paths=5), "relative_file_paths is 5, expected a list of file names"),
        (lambda it: it.update(storage_identifier="my_own", version=77, message_count=float("inf")), ""),
        (lambda it: it.update(starting_time=None, duration="long", compression_mode="FILE", files=None), ""),
    ],
    ids=range(10),
)
def test_metadata_that_are_wrong_cost_no_picture_and_are_named(tmp_path, storage, wrong, words):
    path = rosbag(tmp_path / "bag", storage=storage)
    change(path, wrong)
    found, said = read(path)
    assert found == ALL and len(said) == bool(words)
    assert not words or re.search(words, said[0])


@pytest.mark.parametrize(
    "text", ["", "a: [", "rosbag2_bagfile_information: !!timestamp x", "[" * 5000, "\xff\xfe", "a: *b", "&a [*a]", "\0"]
)
def test_metadata_that_are_no_yaml_cost_no_picture_and_are_named(tmp_path, text):
    path = rosbag(tmp_path / "bag")
    (path / "metadata.yaml").write_text(text, encoding="latin-1")
    found, (said,) = read(path)
    assert found == ALL and "metadata.yaml is not" in said and "all 1 bag files in its folder are used" in said


@pytest.mark.parametrize("storage", StoragePlugin)
def test_a_folder_without_metadata_is_read_file_by_file_in_the_order_of_their_numbers(tmp_path, storage):
    folder = tmp_path / "bag"
    folder.mkdir()
    for number in [*ALL, 10, 11]:  # the names as text would be in the order 0, 1, 10, 11, 2 ...
        part = rosbag(tmp_path / f"part{number}", [number % 10], storage=storage)
        (file,) = (file for file in part.iterdir() if file.suffix != ".yaml")
        if number < 10:
            shutil.move(file, folder / f"bag_{number}{file.suffix}")
    found, (said,) = read(folder)
    assert is_bag(folder) and found == ALL and "has no metadata.yaml: all 10 bag files in it are used" in said


def test_a_file_that_is_not_there_and_one_that_is_no_bag_cost_only_their_own_pictures(tmp_path):
    path = rosbag(tmp_path / "bag")
    (path / "bag_1.mcap").write_text("not a bag")
    change(path, lambda it: it.update(relative_file_paths=["bag.mcap", "bag_1.mcap", "bag_2.mcap"]))
    found, said = read(path)
    assert found == ALL and "bag_2.mcap of its metadata.yaml are not there" in said[0]
    assert "bag_1.mcap is not an MCAP file: it begins with b'not a ba'; its other files are used" in said[1]


# ---- MCAP files


@pytest.mark.parametrize("compression", CompressionType)
@pytest.mark.parametrize("summary", [True, False])
@pytest.mark.parametrize("chunks", [True, False])
def test_an_mcap_file_of_any_making_is_read(tmp_path, compression, summary, chunks):
    nothing = (
        {}
        if summary
        else dict.fromkeys(("use_statistics", "use_summary_offsets", "repeat_channels", "repeat_schemas"), False)
    )
    path = mcap(tmp_path / "a.mcap", compression=compression, use_chunking=chunks, **nothing)
    assert read(path) == (ALL, [])


@pytest.mark.parametrize("compression", CompressionType)
def test_an_mcap_file_that_is_cut_short_gives_what_it_still_holds(tmp_path, compression):
    path = mcap(tmp_path / "a.mcap", compression=compression)
    size = path.stat().st_size
    for left in (0.99, 0.5):
        os.truncate(path, round(left * size))
        found, said = read(path)
        assert found == ALL[: len(found)] and len(found) >= (9 if left == 0.99 else 3)
        assert "it is cut short: it has no footer" in said[0]


def test_a_chunk_that_is_broken_costs_only_its_own_pictures(tmp_path):
    path = mcap(tmp_path / "a.mcap", compression=CompressionType.NONE)
    data = bytearray(path.read_bytes())
    place = data.find(bytes([20 * 4 + 5] * 3000)) + 1000  # in the pixels of picture 4
    data[place] ^= 1
    path.write_bytes(data)
    found, said = read(path)
    assert 4 not in found and {0, 1, 8, 9} <= set(found) and len(said) == 2
    assert "the chunk at byte" in said[0] and "its checksum is wrong" in said[0]
    assert f"{len(found)} messages of {TOPIC} were read, its file says 10" in said[1]


def test_chunks_that_overlap_in_time_are_read_in_the_order_of_time(tmp_path):
    order = [1, 0, 3, 2, 5, 4, 7, 6, 9, 8]
    path = mcap(tmp_path / "a.mcap", messages=[(0, raw(number), number) for number in order], chunk_size=10_000)
    assert read(path) == (ALL, [])


def test_a_message_that_is_lost_where_there_are_no_chunks_is_counted_by_what_the_summary_says(tmp_path):
    path = mcap(tmp_path / "a.mcap", use_chunking=False)
    data = bytearray(path.read_bytes())
    place = data.find(bytes([20 * 4 + 5] * 100))  # picture 4: its record becomes one that nobody knows
    begin = data.rfind(b"\x05" + len(raw(4) + bytes(22)).to_bytes(8, "little"), 0, place)
    data[begin] = 0x0A
    path.write_bytes(data)
    found, said = read(path)
    assert found == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert said == [f"{path}: 9 messages of {TOPIC} were read, its file says 10"]


def test_a_chunk_that_claims_to_be_huge_is_not_unpacked(tmp_path):
    path = mcap(tmp_path / "a.mcap", compression=CompressionType.ZSTD, chunk_size=2**20)
    data = path.read_bytes()
    bomb = zstandard.compress(bytes(2**30))
    begin = data.find(b"\x04\0\0\0zstd") + 8
    length = int.from_bytes(data[begin : begin + 8], "little")
    path.write_bytes(data[: begin + 8] + bomb[:length].ljust(length, b"\0") + data[begin + 8 + length :])
    found, said = read(path)
    assert found == [] and "would have 1073741824 bytes unpacked" in said[0] and "0 messages" in said[1]


# ---- sqlite3 files


def test_a_sqlite3_file_that_is_cut_short_gives_what_it_still_holds(tmp_path):
    path = rosbag(tmp_path / "bag", storage=StoragePlugin.SQLITE3) / "bag.db3"
    os.truncate(path, path.stat().st_size // 4096 * 4096 * 2 // 3)
    found, said = read(path)
    assert found and found == ALL[: len(found)] and "it is cut short or broken" in said[0]


def test_messages_that_a_killed_recorder_left_in_the_log_beside_a_sqlite3_file_are_read(tmp_path):
    path = rosbag(tmp_path / "bag", range(5), storage=StoragePlugin.SQLITE3) / "bag.db3"
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode = WAL")
    for number in range(5, 10):
        database.execute(
            "INSERT INTO messages (topic_id, timestamp, data) VALUES (1, ?, ?)", (BEGIN + number * PERIOD, raw(number))
        )
    database.commit()
    killed = tmp_path / "killed"
    killed.mkdir()
    for file in path.parent.glob("bag.db3*"):
        if not file.name.endswith("-shm"):
            shutil.copy(file, killed)
    database.close()
    assert (killed / "bag.db3-wal").stat().st_size and read(killed / "bag.db3") == (ALL, [])


def test_a_sqlite3_table_that_would_compute_for_ever_is_not_asked(tmp_path):
    path = tmp_path / "bag.db3"
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x FROM n) SELECT x AS id, x AS topic_id FROM n"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE topics (id, name, type)")
        database.execute(f"CREATE VIEW messages AS {endless}")
    with pytest.raises(BagError, match="its table messages lacks data, id, timestamp, topic_id"):
        read(path)


# ---- compressed bags


@pytest.mark.parametrize(
    "storage, mode", [("mcap", "FILE"), ("sqlite3", "FILE"), ("sqlite3", "MESSAGE"), ("mcap", "STORAGE")]
)
def test_compressed_bags_are_read_with_metadata_and_without(tmp_path, storage, mode):
    path = tmp_path / "bag"
    writer = Writer(path, version=9, storage_plugin=StoragePlugin[storage.upper()])
    writer.set_compression(CompressionMode[mode], CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection(TOPIC, RAW, typestore=types())
        for number in ALL:
            writer.write(connection, BEGIN + number * PERIOD, raw(number))
    assert read(path) == (ALL, [])
    (path / "metadata.yaml").unlink()
    found, said = read(path)
    assert found == ALL and len(said) == 1


def test_a_disk_too_full_to_unpack_a_bag_is_named(tmp_path, monkeypatch):
    path = mcap(tmp_path / "a.mcap")
    packed = tmp_path / "b.mcap.zstd"
    packed.write_bytes(zstandard.compress(path.read_bytes() + bytes(4 * 2**20)))
    with small_disk(tmp_path / "full", 1) as full:
        monkeypatch.setattr(tempfile, "tempdir", str(full))
        with pytest.raises(BagError, match=r"b\.mcap\.zstd cannot be read: No space left on device"):
            read(packed)


# ---- pictures


def test_each_picture_that_is_broken_is_named_and_the_others_are_used(tmp_path):
    bad = {
        1: (jpeg(1, 0), "there are no bytes"),
        2: (jpeg(2, 300), "its head is broken or cut short"),
        3: (jpeg(3, kind="PNG", mode="I;16"), "save it with 8 bits a channel"),
        4: (jpeg(4, kind="GIF"), "are not a PNG or JPEG file"),
        5: (b"\0\1\0\0" + bytes(7), "are no sensor_msgs/msg/CompressedImage"),
        6: (b"", "its 0 bytes are no sensor_msgs/msg/CompressedImage"),
        7: (compressed(7, b"\xff\xd8\xff\xc0\x00\x11\x08\xff\xff\xff\xff\x03" + bytes(99)), "JPEG"),
    }
    messages = [(0, bad[number][0] if number in bad else jpeg(number), number) for number in ALL]
    found, said = read(mcap(tmp_path / "a.mcap", [(TOPIC, COMPRESSED, "ros2msg", "cdr")], messages))
    assert found == [0, 8, 9] and len(said) == len(bad)
    for text, (number, (_, why)) in zip(said, bad.items(), strict=True):
        assert f"picture {number} of {TOPIC}, {0.1 * number:.3f} s from the first, is not used" in text and why in text


def test_pictures_that_a_crop_leaves_nothing_of_cost_no_others(tmp_path):
    small = image(BEGIN, np.zeros((1, 1, 3), np.uint8))
    messages = [(0, small if number == 4 else raw(number), number) for number in ALL]
    path = mcap(tmp_path / "a.mcap", messages=messages)
    said: list[str] = []
    assert len(list(read_pictures(path, TOPIC, Crop(0.6, 0.6, 0.3, 0.3), 8, 0.0, said.append))) == 9
    assert len(said) == 1 and "a picture 0.400 s from the first is not used: the crop" in said[0]


def test_nobody_needs_to_listen_to_be_told(tmp_path, caplog):
    path = mcap(tmp_path / "a.mcap", messages=[(0, raw(0), 0), (0, b"", 1)])
    assert len(list(timed_pictures(path, TOPIC))) == 1
    assert "picture 1 of" in caplog.text
