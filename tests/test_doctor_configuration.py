"""`rig doctor` finds what is wrong before anything runs: in the configuration, the checkpoint and the machine."""

import dataclasses
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from examined_robot import assert_found, well

from rig_robot.bringup.environment import DDS_VARIABLES
from rig_robot.doctor.check_result import Level
from rig_robot.doctor.checks import arm, checkpoint, dds, machine
from rig_robot.doctor.heard import Heard
from rig_robot.doctor.options import DoctorOptions


def test_a_workspace_outside_the_box_is_found() -> None:
    assert_found(checkpoint.fits(well(workspace_low=[0.5, -0.2, 0.12])), Level.FAIL, "workspace_low", "0.45")


def test_steps_that_the_box_cuts_short_are_found() -> None:
    assert_found(checkpoint.fits(well(tool_speed=0.1)), Level.WARN, "tool_speed 0.1")


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"joint_speed": None}, ("joint_speed",)),
        ({"workspace_high": None}, ("workspace_high",)),
        ({"joint_speed": [1.0, 1.0]}, ("joint_speed", "7 joints")),
        ({"tool_acceleration": float("nan")}, ("tool_acceleration",)),
        ({"tool_speed": "fast"}, ("tool_speed", "double")),
        ({"joints": ["right_j0", "elbow"], "rest": [0.0, 0.0]}, ("elbow",)),
        ({"tool": "gripper"}, ("gripper",)),
        ({"description": "/no/where.urdf"}, ("/no/where.urdf",)),
    ],
)
def test_bounds_and_descriptions_that_are_none_are_found(parameters: dict[str, Any], words: Sequence[str]) -> None:
    assert_found(arm.description(well(**parameters)), Level.FAIL, *words)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"park": [0.6, 0.0, 0.6]}, ("park",)),
        ({"rest": [4.0, -1.18, 0.0, 2.18, 0.0, 0.57, 3.3161]}, ("right_j0",)),
    ],
)
def test_postures_that_cannot_be_had_are_found(parameters: dict[str, Any], words: Sequence[str]) -> None:
    assert_found(arm.postures(well(**parameters)), Level.FAIL, *words)


def test_corners_beyond_the_arms_reach_are_named() -> None:
    far = well(tool_offset=[0.0, 0.0, -0.6])
    assert_found(arm.postures(far), Level.FAIL, "corner 1")


def test_a_missing_margin_is_found() -> None:
    assert_found(arm.description(well(collision_margin=0.0)), Level.WARN, "collision_margin")


def test_orphaned_shared_memory_is_found(tmp_path: Path) -> None:
    for name in ("fastdds_0123456789abcdef", "fastdds_0123456789abcdef_el"):
        (tmp_path / name).write_bytes(bytes(2**20))
        os.utime(tmp_path / name, (0, 0))
    assert_found(dds.orphaned_memory(tmp_path), Level.WARN, "2 MiB", "rig_robot.bringup.shared_memory")
    assert len(list(tmp_path.iterdir())) == 2, "the doctor looks and does not touch"


def test_too_little_shared_memory_is_found() -> None:
    system = well()
    many = dataclasses.replace(system, nodes=system.nodes * 10**5)
    assert_found(dds.shared_memory(many), Level.FAIL, "--shm-size")


@pytest.mark.parametrize(
    ("content", "words"),
    [("<dds></dds>", ("0.5 MiB", "lost")), ("<dds", ("profile.xml",)), (None, ("profile.xml", "No such file"))],
)
def test_a_profile_that_loses_frames_is_found(
    content: str | None, words: Sequence[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "profile.xml"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv(DDS_VARIABLES[0], str(file))
    assert_found(dds.profile(well()), Level.FAIL, *words)


def test_a_power_saving_cpu_governor_is_found(tmp_path: Path) -> None:
    file = tmp_path / "cpu0" / "cpufreq" / "scaling_governor"
    file.parent.mkdir(parents=True)
    file.write_text("powersave\n")
    assert_found(machine.cores(5, tmp_path), Level.WARN, "performance")


def test_late_wakeups_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    sleep = time.sleep
    monkeypatch.setattr(machine.time, "sleep", lambda seconds: sleep(seconds + 0.02))
    assert_found(machine.scheduling_latency(100.0, seconds=0.2), Level.WARN, "jerks")


def test_a_priority_that_is_not_allowed_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(machine.os, "sched_setscheduler", refuse)
    assert_found(machine.realtime(40), Level.WARN, "rtprio 98")


def test_a_robot_in_the_domain_of_simulations_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", "77")
    system = dataclasses.replace(well(), options=DoctorOptions())
    heard = Heard(nodes=["/arm"])
    assert_found(dds.domain_nodes(dataclasses.replace(system, heard=heard)), Level.WARN, "domain of simulations")


def test_a_renderer_that_is_not_there_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/no/where")
    monkeypatch.setenv("PYOPENGL_PLATFORM", "nonsense")
    assert_found(machine.rendering(sim=False), Level.WARN, "osmesa", "libegl1")


@pytest.mark.parametrize("asked", ["glfw", "vulcan"])
def test_a_way_to_draw_that_does_not_work_is_named_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    monkeypatch.setenv("MUJOCO_GL", asked)
    monkeypatch.setenv("DISPLAY", ":99")
    assert_found(machine.rendering(sim=True), Level.FAIL, asked, "MUJOCO_GL")
