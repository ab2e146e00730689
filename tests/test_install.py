"""Installed by colcon or by pip, everything is where ROS 2 and the package itself look for it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROBOT = {"camera", "encoder", "goal", "policy", "arm", "recorder", "trainer", "receiver", "console"}
NODES = ROBOT | {"composed", "typed_status"}
EXECUTABLES = {"rig", "sim", "sim_goals", "sim_push_goals", "sim_practice", "sim_window"} | NODES
FINDS = """
import rig_robot, rig_sim
from rig_robot.bringup.options import SimOptions
from rig_robot.bringup.systems import simulation
from rig_robot.common.package_files import share
print(rig_robot.__file__, rig_sim.__file__, share("launch", "sim.launch.py"), len(simulation(SimOptions())))
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what git would hand out."""
    files = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if files.returncode:
        pytest.skip("this is no git checkout")
    for name in filter(None, files.stdout.split("\0")):
        target = tmp_path / "src" / "rig_robot" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    return tmp_path / "src" / "rig_robot"


def test_colcon_puts_scripts_launch_files_and_index_where_ros2_looks(checkout: Path) -> None:
    colcon = Path(sys.executable).parent / "colcon"
    if not colcon.exists():
        pytest.skip("colcon is not installed here")
    workspace = checkout.parents[1]
    path = f"{colcon.parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run([colcon, "build"], cwd=workspace, env=os.environ | {"PATH": path}, check=True, capture_output=True)
    prefix = workspace / "install" / "rig_robot"
    assert {file.name for file in (prefix / "lib" / "rig_robot").iterdir()} == EXECUTABLES
    assert (prefix / "share/ament_index/resource_index/packages/rig_robot").is_file()
    for name in ("sim", "robot", "practice"):
        assert (prefix / f"share/rig_robot/launch/{name}.launch.py").is_file()
    for file in (
        "config/dds/camera.xml",
        "config/dds/local/small.xml",
        "config/robot.yaml",
        "config/rig.rviz",
        "policies/rig_robot.policy.xml",
    ):
        assert (prefix / "share/rig_robot" / file).is_file()
    for file in ("ur5e.yaml", "ur5e.urdf"):
        assert (prefix / "share/rig_robot/config/arms" / file).is_file()
    script = f"source install/setup.bash && cd / && echo $AMENT_PREFIX_PATH && '{sys.executable}' -c '{FINDS}'"
    found = subprocess.run(
        ["bash", "-c", script],
        cwd=workspace,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert found.startswith(str(prefix)) and found.count(str(prefix)) == 4 and found.endswith(" 8\n"), found


def test_colcon_gives_the_nodes_the_interpreter_of_the_environment_over_the_system_that_runs_it(checkout: Path) -> None:
    """The way for a ROS 2 from apt (README.md): an environment in the workspace, above the system's packages."""
    if not (Path(sys.executable).parent / "colcon").exists():
        pytest.skip("colcon is not installed here")
    workspace = checkout.parents[1]
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", workspace / "venv"], check=True)
    python = workspace / "venv" / "bin" / "python"
    (packages,) = workspace.glob("venv/lib/python3.*/site-packages")
    for system in filter(lambda place: place.endswith("-packages"), sys.path):
        with (packages / "system.pth").open("a") as file:  # what --system-site-packages gives to a system's interpreter
            file.write(f"{system}\n")
    trap = packages / "of_others" / "setup.py"  # as ruamel.yaml's wheel has one
    trap.parent.mkdir()
    trap.write_text("raise SystemExit('colcon looked into the environment')")
    (workspace / "venv" / "COLCON_IGNORE").touch()
    command = [python, "-m", "colcon", "build", "--symlink-install", "--packages-select", "rig_robot"]
    done = subprocess.run(command, cwd=workspace, check=True, capture_output=True, text=True)
    assert "of_others" not in done.stdout + done.stderr
    scripts = sorted((workspace / "install" / "rig_robot" / "lib" / "rig_robot").iterdir())
    assert {file.name for file in scripts} == EXECUTABLES
    assert {file.read_text().splitlines()[0] for file in scripts} == {f"#!{python}"}


def test_pip_installs_all_that_runs(checkout: Path, tmp_path: Path) -> None:
    target = tmp_path / "environment"
    # --ignore-installed: else pip would first remove what these tests run from.
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--ignore-installed", "--prefix", target)
    subprocess.run([sys.executable, "-m", "pip", "install", *options, checkout], check=True, capture_output=True)
    (packages,) = target.glob("lib/python3.*/site-packages")
    found = subprocess.run(
        [sys.executable, "-c", FINDS],
        cwd="/",
        env=os.environ | {"PYTHONPATH": str(packages)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert found.count(str(target)) == 3 and found.endswith(" 8\n"), found
    prefixed = {name if name == "rig" else f"rig-{name}" for name in EXECUTABLES}
    assert {file.name for file in (target / "bin").iterdir()} == prefixed, "camera, goal and arm are others' names, too"
