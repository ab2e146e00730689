"""A directory is there whole or not at all."""

from pathlib import Path

import pytest

from rig_robot.common.durable_files import written_whole


def test_a_directory_appears_when_all_of_it_is_written(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "data"
    with written_whole(target) as folder:
        (folder / "file").write_text("all")
        assert not target.exists()
    assert (target / "file").read_text() == "all" and [path.name for path in target.parent.iterdir()] == ["data"]


@pytest.mark.parametrize("error", [OSError("no space"), ValueError("no number"), KeyboardInterrupt()], ids=repr)
def test_an_error_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)), written_whole(tmp_path / "data") as folder:
        (folder / "file").write_text("half")
        raise error
    assert not list(tmp_path.iterdir())


def test_what_a_kill_left_is_not_in_the_next_one(tmp_path: Path) -> None:
    (tmp_path / ".data.partial").mkdir()
    (tmp_path / ".data.partial" / "old").write_text("half")
    with written_whole(tmp_path / "data") as folder:
        (folder / "new").write_text("all")
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["new"]


def test_a_directory_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "file").write_text("mine")
    with pytest.raises(OSError), written_whole(tmp_path / "data") as folder:
        (folder / "file").write_text("another")
    assert (tmp_path / "data" / "file").read_text() == "mine" and len(list(tmp_path.iterdir())) == 1
