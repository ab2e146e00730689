"""What a killed recorder left behind is recovered: every second that was on the disk, and nothing else."""

import random
import shutil
import sys
from pathlib import Path

import pytest
from mcap.reader import make_reader
from rosbags.highlevel import AnyReader
from small_disk import small_disk

from rig_robot.recording import recovery, topics
from rig_robot.recording import rosbag2_format as bag
from rig_robot.recording.episode_reader import find, read_info
from rig_robot.recording.episode_writer import open_name
from rig_robot.recording.transitions import read_segments

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from standin.episodes import Recording, write


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
