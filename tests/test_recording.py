"""Episodes on disk: what was written is read again by everyone, whole or not there; what is broken is refused."""

import json
import os
import random
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import Reader

from rig_robot.checkpoints.checkpoint import read_config
from rig_robot.commands.bags import run
from rig_robot.commands.options import BagsOptions
from rig_robot.recording import rosbag2_format as bag
from rig_robot.recording import topics
from rig_robot.recording.episode_reader import EpisodeError, find, latent_distances, read_info, require_robot, settled
from rig_robot.recording.episode_writer import EpisodeWriter, open_name
from rig_robot.recording.transitions import read_segments

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from standin.episodes import (
    ACTION,
    BEGIN,
    CAMERA,
    TOPICS,
    WORKSPACE,
    Recording,
    about,
    latent,
    write,
)

MESSAGES = st.lists(
    st.tuples(
        st.sampled_from([topics.LATENT, topics.TWIST, topics.CAMERA]),
        st.binary(min_size=0, max_size=300),
        st.integers(0, 10**12),
    ),
    max_size=30,
)


# ---- writing


@pytest.mark.slow
@settings(max_examples=30)
@given(messages=MESSAGES, syncs=st.sets(st.integers(0, 30)))
def test_what_is_written_is_read_byte_for_byte_in_the_order_of_time(tmp_path_factory, messages, syncs):
    root = tmp_path_factory.mktemp("episodes")
    writer = EpisodeWriter(root, "E", TOPICS, about())
    for number, (role, data, at) in enumerate(messages):
        writer.write(role, data, at, at + 1)
        if number in syncs:
            writer.sync()
    path = writer.close(about())
    names = {topic.role: topic.name for topic in TOPICS}
    with Reader(path) as reader:
        found = [(connection.topic, at, data) for connection, at, data in reader.messages()]
        assert reader.message_count == len(messages)
    expected = [(names[role], at, data) for role, data, at in messages]
    assert sorted(found) == sorted(expected)
    assert [at for _, at, _ in found] == sorted(at for _, at, _ in found)
    assert sum(read_info(path).messages.values()) == len(messages)


def test_the_metadata_are_rosbag2s_version_9_in_the_directory_and_in_the_file(tmp_path):
    path = write(tmp_path, steps=3)
    information = yaml.safe_load((path / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    # Every key that rosbag2's decoder asks for (rosbag2_storage/yaml.hpp): it throws where one is missing.
    assert set(information) == {
        *("version", "storage_identifier", "duration", "starting_time", "message_count", "topics_with_message_count"),
        *("compression_format", "compression_mode", "relative_file_paths", "files", "custom_data", "ros_distro"),
    }
    assert information["version"] == 9 and information["relative_file_paths"] == ["E_0.mcap"]
    assert all(isinstance(value, str) for value in information["custom_data"].values())
    for entry in information["topics_with_message_count"]:
        described = entry["topic_metadata"]
        assert set(described) == {
            *("name", "type", "serialization_format", "offered_qos_profiles", "type_description_hash")
        }
        assert described["type_description_hash"].startswith("RIHS01_")
        (qos,) = described["offered_qos_profiles"]
        assert qos["history"] == "keep_last" and qos["reliability"] in ("reliable", "best_effort")
        assert qos["durability"] == ("transient_local" if "goal" in described["name"] else qos["durability"])
    with (path / "E_0.mcap").open("rb") as file:
        reader = make_reader(file)
        assert reader.get_header().profile == "ros2"
        summary = reader.get_summary()
        records = {record.name: record.metadata for record in reader.iter_metadata()}
    assert summary.statistics.message_count == information["message_count"]
    assert yaml.safe_load(records["rosbag2"]["serialized_metadata"]) == information
    assert records["rig_robot"]["episode"] == "E"
    for channel in summary.channels.values():
        assert yaml.safe_load(channel.metadata["offered_qos_profiles"])[0]["history"] == "keep_last"
        assert channel.metadata["topic_type_hash"] == bag.definition(summary.schemas[channel.schema_id].name).hash


def test_an_episode_is_not_there_before_it_is_whole(tmp_path):
    recording = Recording(tmp_path)
    recording.step(0)
    assert find(tmp_path) == ([], [])
    recording.close()
    (info,), refused = find(tmp_path)
    assert info.id == "E" and not refused
    assert not list(tmp_path.glob(".*")), "nothing is left beside it"
    with pytest.raises(FileExistsError):
        Recording(tmp_path)


def test_bags_of_every_reader_have_the_messages_with_their_types(tmp_path):
    path = write(tmp_path, steps=3)
    with AnyReader([path]) as reader:
        for connection, _, data in reader.messages():
            reader.deserialize(data, connection.msgtype)
        assert reader.topics["/rig/policy/twist"].msgcount == 3


def test_it_is_on_the_disk_before_it_appears_under_its_name(tmp_path, monkeypatch):
    recording = Recording(tmp_path)
    recording.step(0)
    done: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def synced(descriptor: int) -> None:
        done.append(f"synced {Path(f'/proc/self/fd/{descriptor}').readlink()}")
        fsync(descriptor)

    def renamed(path: Path, target: Path) -> Path:
        done.append(f"renamed {path}")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "rename", renamed)
    recording.close()
    directory = tmp_path / open_name("E")
    # A power loss leaves what was synced, in this order: an episode without a file, or with half of one, cannot be.
    assert done == [
        f"synced {directory / 'E_0.mcap'}",
        f"synced {directory / 'metadata.yaml'}",
        f"synced {directory}",
        f"renamed {directory}",
        f"synced {tmp_path}",
    ]


# ---- refusals


def test_what_cannot_be_used_is_refused_by_name_and_the_rest_is_used(tmp_path, checkpoint):
    like = read_config(checkpoint)
    fitting = {name: json.dumps(_dict(getattr(like, name))) for name in ("camera", "action", "workspace")}
    write(tmp_path, "good", **fitting)
    write(tmp_path, "truncated", **fitting)
    file = tmp_path / "truncated" / "truncated_0.mcap"
    os.truncate(file, file.stat().st_size - 1000)
    write(tmp_path, "no_metadata", **fitting)
    (tmp_path / "no_metadata" / "metadata.yaml").unlink()
    write(tmp_path, "other_robot", **fitting | {"action": json.dumps(_dict(like.action) | {"scale_m": 0.05})})
    (tmp_path / "empty").mkdir()
    write(tmp_path, "no_file", **fitting)
    (tmp_path / "no_file" / "no_file_0.mcap").unlink()
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "metadata.yaml").write_text("rosbag2_bagfile_information: {version: 9}")
    write(tmp_path, "future", rig_format="2", **fitting)
    write(tmp_path, "text", goal="soon", **fitting)
    (tmp_path / "notes.txt").write_text("not an episode, not in the way")
    good, refused = find(tmp_path, like)
    assert [info.id for info in good] == ["good"]
    why = {path.name: text for path, text in refused}
    assert all(str(path) in text for path, text in refused)
    assert "cut short" in why["truncated"] and "has no metadata.yaml" in why["no_metadata"]
    assert "action.scale_m is 0.05, not 0.02" in why["other_robot"] and "is empty" in why["empty"]
    assert "cannot be read" in why["no_file"] and "no rig_format" in why["foreign"]
    assert "rig_format is '2'" in why["future"] and "soon" in why["text"]
    assert len(why) == 8
    with pytest.raises(EpisodeError, match="is no folder"):
        find(tmp_path / "nowhere")
    assert find(tmp_path, like, known=["good"])[0] == []


def _dict(entry: object) -> dict[str, object]:
    from dataclasses import asdict

    return asdict(entry)  # type: ignore[call-overload]


def test_any_metadata_and_any_file_give_an_episode_or_a_refusal(tmp_path):
    path = write(tmp_path, steps=3)
    metadata, content = (path / "metadata.yaml").read_bytes(), (path / "E_0.mcap").read_bytes()
    rng = random.Random(0)
    for number in range(120):
        file, original = [(path / "metadata.yaml", metadata), (path / "E_0.mcap", content)][number % 2]
        broken = bytearray(original)
        for _ in range(rng.choice([1, 20])):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        file.write_bytes(broken[: rng.choice([len(broken), rng.randrange(len(broken))])])
        try:
            info = read_info(path)
            latent_distances(info)
            read_segments(info)
        except EpisodeError as error:
            assert str(path) in str(error)
        file.write_bytes(original)
    assert len(read_segments(read_info(path))) == 1


@pytest.mark.parametrize(
    "found, wrong",
    [
        ("ros_distro: ''", "ros_distro: 2024-13-45"),
        ("ros_distro: ''", "ros_distro: !!timestamp x"),
        ("ros_distro: ''", "ros_distro: !!python/object/apply:os.system [true]"),
        ("message_count: 31", "message_count: .inf"),
        ("message_count: 31", "message_count: 1e400"),
        ("message_count: 31", "message_count: -1"),
        ("version: 9", "version: {}"),
        ("compression_mode: ''", "compression_mode: " + "[" * 3000),
        ("compression_mode: ''", "compression_mode: &a [*a]"),
        ("compression_mode: ''", "compression_mode: \xff"),
        ("goal: '", "goal: '99999999999999999999"),
        ("drops: '{}'", "drops: '{\"camera\": 1e999}'"),
        ("drops: '{}'", "drops: '" + "[" * 100_000 + "'"),
        ("drops: '{}'", "drops: '{\"\\ud800\": 1}'"),
        ('"period_s": 0.1', '"period_s": 0'),
        ('"period_s": 0.1', '"period_s": 1' + "0" * 400),
        ('"period_s": 0.1', '"period_s": NaN'),
        ('"image_size": 16', '"image_size": -16'),
        ('"axes": ["x", "y"]', '"axes": ["x", "w"]'),
        ("relative_file_paths:", "relative_file_paths: 7\nothers:"),
        ("starting_time:", "starting_time: 2024-13-45\n  other_time:"),
    ],
)
def test_metadata_of_any_kind_stop_no_other_episode_from_being_used_and_are_named(tmp_path, capsys, found, wrong):
    for name in "ABC":
        write(tmp_path, name, steps=3)
    file = tmp_path / "B" / "metadata.yaml"
    text = file.read_text().replace("ros_distro: jazzy", "ros_distro: ''")
    text = re.sub("\n  message_count: [0-9]+", "\n  message_count: 31", text)
    assert found in text
    file.write_text(text.replace(found, wrong, 1), encoding="latin-1")
    good, ((refused, why),) = find(tmp_path)
    assert [info.id for info in good] == ["A", "C"] and refused.name == "B" and str(refused) in why
    assert run(BagsOptions(tmp_path)) == 1 and f"cannot be used: {why}" in capsys.readouterr().out
    assert all(len(read_segments(info)) == 1 for info in good)


def test_links_that_lead_nowhere_and_folders_that_may_not_be_read_stop_no_other_episode_and_are_named(monkeypatch):
    root = Path(tempfile.mkdtemp())
    try:
        root.chmod(0o755)
        write(root, "good", steps=3)
        write(root, "shut", steps=3)
        (root / "shut").chmod(0)
        (root / "circle").symlink_to("circle")
        (root / "dangling").symlink_to("nowhere")
        (root / "within").mkdir()
        (root / "within" / "metadata.yaml").symlink_to("metadata.yaml")
        odd = os.fsencode(root) + b"/odd\xff"
        Path(os.fsdecode(odd)).mkdir()
        user = os.geteuid()
        if user == 0:  # root may read everything
            os.seteuid(65534)
        try:
            good, refused = find(root)
            assert not settled(root / "shut") and not settled(root / "circle"), "they have just been made"
            monkeypatch.setattr(time, "time", lambda: 6 + os.lstat(root / "circle").st_ctime)
            assert all(settled(root / name) for name in ("shut", "circle", "dangling"))
        finally:
            os.seteuid(user)
        assert [info.id for info in good] == ["good"]
        assert [path.name for path, _ in refused] == ["circle", "dangling", os.fsdecode(b"odd\xff"), "shut", "within"]
        why = [text for _, text in refused]
        assert "circle is a link that cannot be followed: Too many levels" in why[0]
        assert "dangling is a link that cannot be followed: No such file" in why[1]
        assert r"odd\udcff: its name is not UTF-8" in why[2]
        assert "shut cannot be read: Permission denied" in why[3] and "has no metadata.yaml" in why[4]
    finally:
        (root / "shut").chmod(0o755)
        shutil.rmtree(root)


def test_an_episode_with_other_numbers_of_messages_than_its_metadata_say_is_said_so_in_one_line(tmp_path):
    path = write(tmp_path, steps=4)
    file = path / "metadata.yaml"
    file.write_text(file.read_text().replace("message_count: 4\n", "message_count: 6\n"))
    said: list[str] = []
    assert len(read_segments(read_info(path), said.append)) == 1
    assert len(said) == 1 and "4 of 6 of rig/policy/twist, 4 of 6 of rig/observation/image" in said[0]


def test_an_observation_of_another_size_than_the_metadata_say_is_refused(tmp_path):
    recording = Recording(tmp_path)
    for number in range(3):
        recording.step(number, size=16 if number < 2 else 17)
    with pytest.raises(EpisodeError, match=r"E.*is 17x17, its metadata say 16x16"):
        read_segments(read_info(recording.close()))


def test_another_robots_episode_is_refused_with_every_difference(tmp_path, checkpoint):
    like = read_config(checkpoint)
    info = read_info(write(tmp_path))
    if (info.camera, info.action, info.workspace) == (like.camera, like.action, like.workspace):
        pytest.fail("the test's checkpoint is to be another robot's")
    with pytest.raises(EpisodeError, match=r"is of another robot: camera.image_size is 16, not"):
        require_robot(info, like)


# ---- rig bags


def test_rig_bags_lists_length_goal_distance_drops_and_checkpoint(tmp_path, capsys):
    recording = Recording(tmp_path, "20260101T000000Z-abcdef", mode="practice", goal_kind="imagined")
    recording.say(topics.GOAL_LATENT, latent(BEGIN - 1, [30.0, 0.0]), BEGIN - 1)
    for number in range(26):
        recording.step(number)
    recording.close(drops='{"camera": 7}')
    write(tmp_path, "second", recovered="true")
    assert run(BagsOptions(tmp_path)) == 0
    _, first, second, total = capsys.readouterr().out.splitlines()
    assert first.split() == [
        *("20260101T000000Z-abcdef", "practice", "2.5", "26", "imagined"),
        *("30.00", "->", "5.00", "7", "camera", "sawyer"),
    ]
    assert second.endswith("recovered") and total == "2 episodes, 3 s, 7 messages dropped"
    (tmp_path / "empty").mkdir()
    assert run(BagsOptions(tmp_path)) == 1
    assert f"cannot be used: {tmp_path / 'empty'} is empty" in capsys.readouterr().out


def test_the_entries_of_the_maker_are_what_readers_give(tmp_path):
    info = read_info(write(tmp_path))
    assert (info.camera, info.action, info.workspace) == (CAMERA, ACTION, WORKSPACE)
