"""Episodes on disk: what was written is read again by everyone, whole or not there; what is broken is refused."""

import json
import os
import random
import re
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import Reader, StoragePlugin, Writer
from small_disk import small_disk

from rig_robot.checkpoints.checkpoint import read_config
from rig_robot.commands.bags import run
from rig_robot.commands.options import BagsOptions
from rig_robot.recording import recovery, topics
from rig_robot.recording import rosbag2_format as bag
from rig_robot.recording.bag_images import BagError, read_pictures
from rig_robot.recording.episode_reader import EpisodeError, find, latent_distances, read_info, require_robot, settled
from rig_robot.recording.episode_writer import EpisodeWriter, open_name
from rig_robot.recording.jpeg import compress
from rig_robot.recording.transitions import read_segments
from rig_robot.recording.write_queue import WriteQueue
from rig_robot.vision.image_decoding import from_compressed
from rig_robot.vision.observation import Crop, prepare

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from standin.episodes import (
    ACTION,
    BEGIN,
    CAMERA,
    PERIOD,
    TOPICS,
    WORKSPACE,
    Recording,
    about,
    image,
    latent,
    picture,
    status,
    twist,
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


# ---- recovery


def cut(path: Path, folder: Path, content: bytes) -> Path:
    """An episode that a recorder left open, its file as given."""
    shutil.rmtree(folder, ignore_errors=True)
    directory = folder / open_name("E")
    directory.mkdir(parents=True)
    (directory / "E_0.mcap").write_bytes(content)
    return directory


@pytest.fixture(scope="module")
def killed(tmp_path_factory) -> tuple[bytes, list[int]]:
    """A recording's file, synced every 3 steps, and after how many bytes each sync was done."""
    root = tmp_path_factory.mktemp("killed")
    recording = Recording(root)
    file = root / open_name("E") / "E_0.mcap"
    sizes = []
    for number in range(9):
        recording.step(number)
        if number % 3 == 2:
            recording.writer.sync()
            sizes.append(file.stat().st_size)
    return file.read_bytes(), sizes


@pytest.mark.slow
def test_wherever_a_recording_is_cut_all_synced_seconds_are_recovered_and_nothing_else(killed, tmp_path):
    content, synced = killed
    rng = random.Random(0)
    for length in [0, 5, 8, *synced, *(size - 1 for size in synced), *(rng.randrange(len(content)) for _ in range(25))]:
        directory = cut(tmp_path, tmp_path / "cut", content[:length])
        became = recovery.recover(directory)
        seconds = sum(length >= size for size in synced)
        assert became.whole == (seconds > 0)
        if not became.whole:
            assert became.directory.name == "E.broken" and "E" in became.text
            assert (became.directory / "E_0.mcap").read_bytes() == content[:length], "nothing recorded is deleted"
            continue
        info = read_info(became.directory)
        assert info.recovered and info.messages[topics.TWIST] == 3 * seconds
        assert [len(segment.actions) for segment in read_segments(info)] == [3 * seconds - 1]
        with AnyReader([became.directory]) as reader:
            assert len(list(reader.messages())) == reader.message_count
        with (became.directory / "E_0.mcap").open("rb") as file:
            assert make_reader(file).get_summary().statistics.message_count == sum(info.messages.values())


@pytest.mark.slow
def test_garbage_after_the_last_sync_or_inside_a_chunk_ends_what_is_recovered(killed, tmp_path):
    content, synced = killed
    rng = random.Random(1)
    tails = [bytes(5000), rng.randbytes(5000), b"\x06" + (2**40).to_bytes(8, "little") + bytes(50)]
    for tail in tails:
        became = recovery.recover(cut(tmp_path, tmp_path / "cut", content[: synced[1]] + tail))
        assert read_info(became.directory).messages[topics.TWIST] == 6
    for _ in range(20):
        flipped = bytearray(content)
        place = rng.randrange(synced[0], synced[1])
        flipped[place] ^= 1 << rng.randrange(8)
        became = recovery.recover(cut(tmp_path, tmp_path / "cut", bytes(flipped)))
        assert became.whole and 3 <= read_info(became.directory).messages[topics.TWIST] <= 9
        read_segments(read_info(became.directory))  # whatever was flipped, what is offered can be read


@pytest.mark.slow
def test_a_recovery_that_is_killed_is_done_again(killed, tmp_path):
    content, synced = killed
    whole = recovery.recover(cut(tmp_path, tmp_path / "once", content[: synced[1] + 100]))
    completed = (whole.directory / "E_0.mcap").read_bytes()
    for length in range(synced[1], len(completed), 500):
        became = recovery.recover(cut(tmp_path, tmp_path / "cut", completed[:length]))
        assert read_info(became.directory).messages == read_info(whole.directory).messages


def test_killed_between_the_last_byte_and_the_renaming_an_episode_has_lost_nothing(tmp_path):
    path = write(tmp_path, steps=4, drops='{"camera": 3}')
    content = (path / "E_0.mcap").read_bytes()
    info = read_info(recovery.recover(cut(tmp_path, tmp_path / "cut", content)).directory)
    assert not info.recovered and info.drops == {"camera": 3} and info.messages == read_info(path).messages


def test_what_was_set_aside_is_named_and_an_episode_that_is_there_is_not_replaced(killed, tmp_path):
    write(tmp_path)
    directory = tmp_path / open_name("E")
    directory.mkdir()
    (directory / "E_0.mcap").write_bytes(killed[0])
    became = recovery.recover(directory)
    assert not became.whole and "is there already" in became.text
    (good,), ((refused, why),) = find(tmp_path)
    assert good.id == "E" and not good.recovered and refused.name == "E.broken" and "set aside" in why


def test_yaml_that_cannot_be_understood_costs_a_recovery_nothing(tmp_path, monkeypatch):
    recording = Recording(tmp_path / "whole")
    for number in range(4):
        recording.step(number)
    content = next(recording.close().glob("*.mcap")).read_bytes()
    text = b"rosbag2_bagfile_information:"
    assert text not in content and content.count(b"version: 9") == 1
    for wrong in (b"version: [", b"version: *", b"version:\0 "):
        broken = content.replace(b"version: 9", wrong)
        became = recovery.recover(cut(tmp_path, tmp_path / "cut", broken))
        assert became.whole and read_info(became.directory).messages[topics.TWIST] == 4
    monkeypatch.setattr(bag, "dump", lambda content: "a: [")
    recording = Recording(tmp_path / "odd")
    monkeypatch.undo()
    recording.step(0)
    recording.writer.sync()
    recording.writer.abandon()
    became = recovery.recover(tmp_path / "odd" / open_name("E"))
    assert became.whole and read_info(became.directory).recovered


def test_a_disk_that_is_full_while_an_episode_is_recovered_loses_nothing_of_it(killed, tmp_path):
    content, _ = killed
    with small_disk(tmp_path / "disk", 1) as disk:
        directory = cut(disk, disk / "cut", content)
        filling = disk / "full"
        with pytest.raises(OSError, match="No space left"), filling.open("wb") as file:
            while True:
                file.write(bytes(4096))
                file.flush()
        with pytest.raises(OSError, match="No space left"):
            recovery.recover(directory)
        filling.unlink()
        became = recovery.recover(directory)
        assert became.whole and read_info(became.directory).messages[topics.TWIST] == 9


def test_a_folder_has_one_recorder(tmp_path):
    lock = recovery.Lock(tmp_path)
    with pytest.raises(recovery.InUse, match="another recorder"):
        recovery.Lock(tmp_path)
    lock.release()
    recovery.Lock(tmp_path).release()


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


# ---- transitions


def segments(recording: Recording) -> list[int]:
    """How many transitions each segment has."""
    return [len(segment.actions) for segment in read_segments(read_info(recording.close()))]


def test_a_transition_is_a_twist_its_frame_and_the_next_twists_frame(tmp_path):
    (segment,) = read_segments(read_info(write(tmp_path, steps=4)))
    np.testing.assert_array_equal(segment.images, [picture(number) for number in range(4)])
    np.testing.assert_allclose(segment.actions, [[0.5, -1.0]] * 3)  # 0.1 and -0.2 m/s, of 0.2
    np.testing.assert_allclose(segment.positions, [[0.5, 0.01 * number, 0.15] for number in range(4)], rtol=1e-6)
    assert segment.stamps.tolist() == [BEGIN + number * PERIOD for number in range(4)]
    assert segment.images.dtype == np.uint8 and segment.actions.dtype == segment.positions.dtype == np.float32


def test_no_transition_spans_a_gap_of_more_than_one_and_a_half_periods(tmp_path):
    recording = Recording(tmp_path)
    for number in (0, 1, 2.45, 3.96, 5, 6):
        recording.step(number)
    assert segments(recording) == [2, 2]


def test_no_transition_spans_a_stop_and_none_begins_while_the_arm_waits(tmp_path):
    recording = Recording(tmp_path)
    for number in range(10):
        stamp = recording.step(number)
        if number in (4, 5):  # stopped for a moment in the 5th step; disarmed from the 6th until the 7th
            recording.say(topics.STATUS, status(state="waiting" if number == 4 else "disarmed"), stamp + PERIOD // 2)
        if number in (4, 7):
            recording.say(topics.STATUS, status(state="moving"), stamp + PERIOD * 3 // 4)
    assert segments(recording) == [4, 2]


def test_an_arm_of_which_nothing_is_known_has_no_transitions(tmp_path):
    recording = Recording(tmp_path)
    recording.say(topics.STATUS, status(state="disarmed"), BEGIN - 1)
    for number in range(3):
        recording.step(number)
    assert segments(recording) == []


def test_no_transition_spans_a_change_of_the_vae(tmp_path):
    recording = Recording(tmp_path)
    for number in range(6):
        stamp = recording.step(number)
        if number > 2:
            recording.say(topics.LATENT, latent(stamp, [0.0, 0.0], "00c0ffee"), stamp + 10**7)
    assert segments(recording) == [2, 2]


def test_twists_of_other_episodes_are_left_out(tmp_path):
    recording = Recording(tmp_path)
    recording.step(0)
    recording.say(topics.EPISODE, status(id="E", event="start"), BEGIN + PERIOD // 2)
    for number in (1, 2, 3):
        recording.step(number)
    recording.say(topics.EPISODE, status(id="E", event="end"), BEGIN + 3 * PERIOD + PERIOD // 2)
    recording.say(topics.EPISODE, status(id="F", event="start"), BEGIN + 3 * PERIOD + PERIOD // 2 + 1)
    recording.step(4)
    assert segments(recording) == [2]


def test_a_lost_frame_or_a_twist_that_is_not_finite_costs_the_steps_beside_it_only(tmp_path):
    recording = Recording(tmp_path)
    for number in range(9):
        if number == 2:
            recording.say(topics.TWIST, twist(BEGIN + 2 * PERIOD, 0.1, 0.0), BEGIN + 2 * PERIOD)  # no frame
        else:
            recording.step(number, x=float("nan") if number == 5 else 0.1)
    assert segments(recording) == [1, 1, 2]


def test_twists_nearer_than_half_a_period_are_no_steps_of_a_whole_one(tmp_path):
    recording = Recording(tmp_path)
    for number in range(6):
        recording.step(number)
        if number in (1, 4):  # as a policy sends that acts on frames out of order; of the second, the frame is lost
            stamp = BEGIN + number * PERIOD + PERIOD // 3
            if number == 1:
                recording.say(topics.OBSERVATION, image(stamp, picture(9)), stamp)
            recording.say(topics.TWIST, twist(stamp, 0.1, 0.0), stamp)
    assert segments(recording) == [1, 3]


def test_positions_that_were_not_measured_are_nan_not_old_ones(tmp_path):
    recording = Recording(tmp_path)
    recording.step(0)
    for number in (1, 2):
        stamp = BEGIN + number * PERIOD
        recording.say(topics.OBSERVATION, image(stamp, picture(number)), stamp)
        recording.say(topics.TWIST, twist(stamp, 0.1, 0.0), stamp)
    (segment,) = read_segments(read_info(recording.close()))
    assert np.isfinite(segment.positions[0]).all() and np.isnan(segment.positions[1:]).all()


@pytest.mark.parametrize("imagined", [False, True])
def test_the_goals_picture_is_the_one_shown_or_what_the_vae_made_of_an_imagined_one(tmp_path, imagined):
    recording = Recording(tmp_path)
    recording.say(topics.GOAL, image(BEGIN - 1 - imagined, picture(77)), BEGIN - 1)  # imagined: an older goal's
    recording.say(topics.RECONSTRUCTION, image(BEGIN - 1, picture(78)), BEGIN - 1)
    for number in range(3):
        recording.step(number)
    (segment,) = read_segments(read_info(recording.close()))
    np.testing.assert_array_equal(segment.goal, picture(78 if imagined else 77))


def test_without_a_goal_there_is_no_picture_of_one(tmp_path):
    (segment,) = read_segments(read_info(write(tmp_path, goal="0", goal_kind="none")))
    assert segment.goal is None


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


# ---- the spool


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


# ---- bags of others


def foreign(path: Path, storage: StoragePlugin, topic: str, sizes: list[tuple[int, int]], compressed: bool) -> Path:
    """A bag such as `ros2 bag record` makes: 10 pictures a second, each of one grey."""
    import cv2

    store = bag.types()
    kind = "sensor_msgs/msg/CompressedImage" if compressed else "sensor_msgs/msg/Image"
    with Writer(path, version=9, storage_plugin=storage) as writer:
        connection = writer.add_connection(topic, kind, typestore=store)
        for number, (height, width) in enumerate(sizes):
            rgb = np.full((height, width, 3), 10 * number, np.uint8)
            if compressed:
                data = cv2.imencode(".png", rgb)[1].ravel()
                header = store.deserialize_cdr(image(BEGIN, rgb), "sensor_msgs/msg/Image").header
                message = store.types[kind](header=header, format="png", data=data)
                writer.write(connection, BEGIN + number * PERIOD, store.serialize_cdr(message, kind))
            else:
                writer.write(connection, BEGIN + number * PERIOD, image(BEGIN, rgb))
    return path


@pytest.mark.parametrize("storage", StoragePlugin)
@pytest.mark.parametrize("compressed", [False, True])
def test_bags_that_others_recorded_serve_as_they_are(tmp_path, storage, compressed):
    path = foreign(tmp_path / "bag", storage, "/wrist/rgb", [(120, 160)] * 6, compressed)
    crop = Crop(0.125, 0.0, 0.75, 1.0)
    found = list(read_pictures(path, "wrist/rgb", crop, 24, 0.0))
    assert [frame.shape for frame in found] == [(24, 24, 3)] * 6
    assert [int(frame[0, 0, 0]) for frame in found] == [0, 10, 20, 30, 40, 50]
    thinned = [int(frame[0, 0, 0]) for frame in read_pictures(path, "any", crop, 24, 0.2)]
    assert thinned == [0, 20, 40], "the only topic with pictures is taken; one each 0.2 s"
    (file,) = [part for part in path.iterdir() if part.suffix in (".mcap", ".db3")]
    assert len(list(read_pictures(file, "any", crop, 24, 0.0))) == 6, "a file alone serves too"


def test_a_bag_that_cannot_serve_is_refused_by_name(tmp_path):
    crop = Crop(0.125, 0.0, 0.75, 1.0)
    truncated = foreign(tmp_path / "truncated", StoragePlugin.MCAP, "/a", [(120, 160)] * 3, False)
    os.truncate(truncated / "truncated.mcap", 4000)
    (tmp_path / "empty").mkdir()
    silent = write(tmp_path, "silent")  # an episode: three topics with pictures, none of this name
    (tmp_path / "text.mcap").write_text("not a bag")
    cases = {
        truncated: "is not a bag that can be read",
        tmp_path / "empty": "holds no MCAP or sqlite3 file",
        silent: "has pictures on .*/rig/goal/image",
        tmp_path / "text.mcap": "is not a bag that can be read",
        tmp_path / "nowhere": "is not a bag that can be read",
    }
    for path, why in cases.items():
        with pytest.raises(BagError, match=why) as refusal:
            list(read_pictures(path, "front", crop, 24, 0.0))
        assert str(path) in str(refusal.value)


def test_pictures_of_odd_sizes_are_cropped_and_shrunk_like_any_other(tmp_path):
    path = foreign(tmp_path / "bag", StoragePlugin.MCAP, "/a", [(241, 321), (97, 33)], False)
    crop = Crop(0.125, 0.0, 0.75, 1.0)
    for number, frame in enumerate(read_pictures(path, "a", crop, 24, 0.0)):
        size = [(241, 321), (97, 33)][number]
        np.testing.assert_array_equal(frame, prepare(np.full((*size, 3), 10 * number, np.uint8), crop, 24))


def test_a_jpeg_of_a_picture_is_that_picture():
    smooth = np.indices((48, 64)).sum(0).astype(np.uint8)[..., None].repeat(3, 2)
    message = bag.types().deserialize_cdr(compress(image(BEGIN, smooth)), "sensor_msgs/msg/CompressedImage")
    assert message.header.stamp.sec == BEGIN // 10**9 and message.format == "rgb8; jpeg compressed bgr8"
    assert np.abs(from_compressed(message.data.tobytes()).astype(int) - smooth).max() <= 4


def test_the_entries_of_the_maker_are_what_readers_give(tmp_path):
    info = read_info(write(tmp_path))
    assert (info.camera, info.action, info.workspace) == (CAMERA, ACTION, WORKSPACE)
