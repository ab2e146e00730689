"""Says which parameters each node takes, so that a configuration is checked, by file and line, before any node starts.

The nodes declare them again, with their meaning, for those who start a node by itself; `tests/test_configuration.py`
compares the two.
"""

from __future__ import annotations

from dataclasses import replace

from rig_robot.common.modes import Mode
from rig_robot.common.scene_names import SCENES
from rig_robot.common.task_names import TASKS
from rig_robot.common.yaml_schema import Key, number, numbers, text, texts, truth, whole

Keys = dict[str, Key]

INTERFACES = ("joint_trajectory", "joint_position", "twist")

_ALL: Keys = {"outlive_starter": truth(), "use_sim_time": truth(), "start_type_description_service": truth()}
"""Parameters of every node; the last two are those of ROS 2."""

_MANAGED: Keys = {"autostart": truth()}
"""Parameters of the nodes with a life cycle."""
_PRIORITY = whole(0, 98)

ARM: Keys = {
    "checkpoint": text(),
    "description": text(),
    "joints": texts(),
    "tool": text(),
    "tool_offset": numbers(3),
    "rest": numbers(),
    "base_frame": text(),
    "interface": text(INTERFACES),
    "command_topic": text(),
    "joint_states_topic": text(),
    "rate": number(10.0, 1000.0),
    "workspace_low": numbers(3),
    "workspace_high": numbers(3),
    "table_height": number(),
    "collision_margin": number(0.0, 1.0),
    "park": replace(numbers(3), unset=(0.0,)),  # which the node declares where there is none
    "tool_speed": number(positive=True),
    "tool_acceleration": number(positive=True),
    "turn_speed": number(positive=True),
    "posture_speed": number(positive=True),
    "approach_rate": number(positive=True),
    "joint_speed": numbers(positive=True),
    "joint_acceleration": numbers(positive=True),
    "braking_time": number(0.02, 2.0),
    "tracking_error": number(positive=True),
    "singularity_slow": number(positive=True),
    "singularity_stop": number(positive=True),
    "watchdog": number(0.05, 2.0),
    "motion_time": number(0.01, 1.0),
    "heartbeat": number(0.0, 5.0),
    "joint_states_timeout": number(0.0, 2.0),
    "ramp": number(0.0, 10.0),
    "servo_timeout": number(0.01, 1.0),
    "realtime_priority": _PRIORITY,
    "tool_frame": text(),
} | (_MANAGED | _ALL)
"""Parameters of the arm node, which are also what an arm preset may say."""

_GOALS: Keys = {
    "checkpoint": text(),
    "goals": whole(0, 1_000_000),
    "seed": whole(0, 2**31 - 1),
    "json": text(),
    "scene": text(SCENES),
    "scene_seed": whole(0, 2**31 - 1),
    "images": text(),
}
_PARAMETERS: dict[str, Keys] = {
    "arm": ARM,
    "camera": {
        "checkpoint": text(),
        "source": text(("topic", "realsense", "v4l2", "file")),
        "topic": text(),
        "transport": text(("raw", "compressed")),
        "rotation": whole(),
        "crop": numbers(4),
        "size": whole(8, 512),
        "frame_id": text(),
        "base_frame": text(),
        "pose": replace(numbers(7), unset=(0.0,)),
        "width": whole(16, 8192),
        "height": whole(16, 8192),
        "fps": whole(1, 300),
        "exposure": number(0.0, 1e6),
        "gain": number(0.0, 1e6),
        "white_balance": number(0.0, 1e5),
        "serial": text(),
        "device": text(),
        "path": text(),
        "loop": truth(),
        "realtime_priority": _PRIORITY,
    },
    "encoder": {"checkpoint": text(), "realtime_priority": _PRIORITY},
    "goal": {
        "checkpoint": text(),
        "max_megapixels": number(0.01, 1000.0),
        "refuse_unknown": truth(),
        "accept_grey": truth(),
    },
    "policy": {
        "checkpoint": text(),
        "mode": text(Mode),
        "base_frame": text(),
        "max_age": number(0.01, 10.0),
        "episode_steps": whole(2, 100_000),
        "reached_distance": number(0.1, 1000.0),
        "reached_object_distance": number(0.1, 1000.0),
        "stalled_after": number(0.1, 600.0),
        "noise": number(0.0, 2.0),
        "epsilon": number(0.0, 1.0),
        "realtime_priority": _PRIORITY,
    },
    "recorder": {
        "directory": text(),
        "checkpoint": text(),
        "stack": text(),
        "camera": text(("raw", "jpeg", "none")),
        "camera_topic": text(),
        "transport": text(("raw", "compressed")),
        "interface": text(INTERFACES),
        "command_topic": text(),
        "joint_states_topic": text(),
        "recording": truth(),
        "min_free": number(0.1, 1e4),
        "queue": whole(1, 65536),
    },
    "trainer": {
        "checkpoints": text(),
        "episodes": texts(),
        "robots": texts(),
        "work": text(),
        "old": texts(),
        "pictures": texts(),
        "pictures_topic": text(),
        "deliver": text(("path", "topic")),
        "exploration_steps": whole(100, 1_000_000),
        "updates": whole(0, 100),
        "fine_tune_every": whole(0, 10_000),
        "capacity": whole(2_000, 100_000_000),
        "environment": text(),
        "scene": text(),
        "judge_goals": whole(1, 1000),
    },
    "receiver": {"checkpoints": text()},
    "console": {
        "checkpoint": text(),
        "address": text(),
        "port": whole(0, 65535),
        "token": text(),
        "certificate": text(),
        "key": text(),
        "hosts": text(),
        "jog_speed": number(0.001, 0.5),
    },
    "sim": {
        "task": text(TASKS),
        "start_position": numbers(3),
        "axes": text(("xy", "xyz")),
        "scene": text(SCENES),
        "scene_seed": whole(0, 2**31 - 1),
        "speed": number(0.01, 100.0),
        "put_back_after": number(-1.0, 3600.0),
        "publish_clock": truth(),
        "camera_rate": number(0.1, 120.0),
        "image_width": whole(16, 1920),
        "image_height": whole(16, 1080),
    },
    "sim_goals": _GOALS,
    "sim_push_goals": _GOALS,
    "sim_practice": _GOALS | {"steps": whole(0, 100_000_000)},
    "sim_window": {},
}
PARAMETERS: dict[str, Keys] = {
    node: keys | (_MANAGED if node in ("camera", "recorder") else {}) | _ALL for node, keys in _PARAMETERS.items()
}
"""For each node of the systems, what its section of a configuration may say."""
