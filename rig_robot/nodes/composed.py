"""Composed process: camera, encoder, goal and policy node in one process and one executor, a frame's way in memory.

    python -m rig_robot.nodes.composed camera source:=v4l2 checkpoint:=DIR encoder checkpoint:=DIR ... --ros-args ...

The nodes are those that run as processes of their own elsewhere: names, topics, services, parameters and health are the
same. What stands behind a node's name is for that node alone; ROS arguments are for all of them. The arm node is not
among them: it must stop the arm when this process dies or hangs.
"""

import sys
from collections.abc import Sequence

from rig_robot.common.malloc_tuning import keep_large_blocks
from rig_robot.nodes.camera import CameraNode
from rig_robot.nodes.encoder import EncoderNode
from rig_robot.nodes.goal import GoalNode
from rig_robot.nodes.policy import PolicyNode
from rig_robot.ros.in_process import prepare_process
from rig_robot.ros.node import RigNode
from rig_robot.ros.node_process import run

NODES: dict[str, type[RigNode]] = {"camera": CameraNode, "encoder": EncoderNode, "goal": GoalNode, "policy": PolicyNode}
"""The nodes in the order in which they are made"""


def read_arguments(words: Sequence[str]) -> dict[str, list[str]]:
    """Return each node's own ROS arguments from words such as `camera source:=topic encoder checkpoint:=DIR`.

    Raises:
        ValueError: If a word is neither a node's name nor a parameter behind one.
    """
    given: dict[str, list[str]] = {name: ["--ros-args"] for name in NODES}
    present: list[str] | None = None
    for word in words:
        if ":=" in word and present is not None:
            present += ["-p", word]
        elif word in NODES:
            present = given[word]
        else:
            raise ValueError(f"{word!r}: expected NODE PARAMETER:=VALUE ..., with NODE one of {', '.join(NODES)}")
    return given


def split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return what is for this process, and what is for ROS: from each --ros-args to the next -- or the end."""
    words: list[str] = []
    for_ros: list[str] = []
    inside = False
    for argument in arguments:
        inside = argument == "--ros-args" or (inside and argument != "--")
        if inside or argument == "--":
            for_ros.append(argument)
        else:
            words.append(argument)
    return words, for_ros


def main() -> None:
    keep_large_blocks()
    words, ros_arguments = split(sys.argv[1:])
    try:
        arguments = read_arguments(words)
    except ValueError as error:
        print(f"composed: {error}", file=sys.stderr)
        sys.exit(2)
    sys.argv[1:] = ros_arguments  # rcl would take NAME:=VALUE among the others for the renaming of a topic
    in_process = prepare_process()
    if in_process is None:
        print("composed: the DDS profile is not this package's: messages between these nodes go by DDS", flush=True)
    run(*NODES.values(), in_process=in_process, arguments=arguments)


if __name__ == "__main__":
    main()
