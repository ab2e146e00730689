"""`rig`: the command line. Each command imports what it needs when it runs, so that `rig --help` is quick."""

from __future__ import annotations

import os
import sys
import typing
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import tyro

from rig_robot.bringup import (
    RobotOptions,
    SimOptions,
    prepare_practice,
    robot,
    robot_notice,
    simulation,
    simulation_environment,
)
from rig_robot.checkpoints_options import CheckpointsOptions
from rig_robot.doctor.options import DoctorOptions
from rig_robot.learning.arguments import METHODS, EvalArgs, ExploreArgs, Method, TrainArgs, preset
from rig_robot.learning.compare import CompareArgs, compare
from rig_robot.recording.options import BagsOptions

# fmt: off
Word = typing.Literal[
    "arm", "disarm", "stop", "reset", "park",
    "reach", "explore", "practice", "idle", "clear",
    "record", "pause", "train", "rest", "fine-tune",
]
# fmt: on
"""What `rig tell` says"""


@dataclass(frozen=True)
class GoalOptions:
    """Send a picture to a running system as its goal."""

    picture: tyro.conf.Positional[Path]
    """PNG or JPEG file."""
    namespace: str = ""
    """ROS namespace of the robot."""
    timeout: float = 10.0
    """Time to wait for the system and its answer [s]."""


@dataclass(frozen=True)
class TellOptions:
    """Tell a running system: arm, disarm, stop (emergency stop), reset (it), park; reach, explore, practice, idle (the
    policy); clear (the goal); record, pause (the recorder); train, rest, fine-tune (the trainer)."""

    word: tyro.conf.Positional[Word]
    """What to tell it."""
    namespace: str = ""
    """ROS namespace of the robot."""
    timeout: float = 10.0
    """Time to wait for the system and its answer [s]."""


@dataclass(frozen=True)
class WatchOptions:
    """Print what the arm does and be its operator: with its parameter `heartbeat` set, Ctrl-C here stops it."""

    namespace: str = ""
    """ROS namespace of the robot."""


def main() -> None:
    """Run the command that the arguments name; exit 2 with one line where they cannot be right."""
    command = tyro.cli(
        Annotated[SimOptions, tyro.conf.subcommand("sim", description="Run the whole system in simulation.")]
        | Annotated[RobotOptions, tyro.conf.subcommand("robot", description="Run a real robot's nodes, disarmed.")]
        | Annotated[DoctorOptions, tyro.conf.subcommand("doctor")]
        | Annotated[GoalOptions, tyro.conf.subcommand("goal")]
        | Annotated[TellOptions, tyro.conf.subcommand("tell")]
        | Annotated[WatchOptions, tyro.conf.subcommand("watch")]
        | Annotated[BagsOptions, tyro.conf.subcommand("bags")]
        | Annotated[CheckpointsOptions, tyro.conf.subcommand("checkpoints")]
        | Annotated[TrainArgs, tyro.conf.subcommand("train", default=_defaults(sys.argv[1:]))]
        | Annotated[ExploreArgs, tyro.conf.subcommand("explore")]
        | Annotated[CompareArgs, tyro.conf.subcommand("compare")]
        | Annotated[EvalArgs, tyro.conf.subcommand("eval"), tyro.conf.PositionalRequiredArgs],
        prog="rig",
        description="A robot arm that reaches what a goal image shows (RIG).",
    )
    try:
        sys.exit(_COMMANDS[type(command)](command))
    except (ValueError, OSError) as error:
        print(f"rig: {error}", file=sys.stderr)
        sys.exit(2)


def _defaults(arguments: list[str]) -> TrainArgs:
    """What `rig train` starts from: the method that is asked for decides about the other defaults."""
    named = [after for before, after in pairwise([*arguments, ""]) if before == "--method"]
    named += [argument.removeprefix("--method=") for argument in arguments if argument.startswith("--method=")]
    method = named[-1] if named and named[-1] in METHODS else "rig"
    return preset(typing.cast(Method, method), out=tyro.MISSING)


def _sim(options: SimOptions) -> int:
    from rig_robot.company import refuse_company
    from rig_robot.runner import Runner

    prepare_practice(options)
    nodes = simulation(options)
    environment = simulation_environment()
    refuse_company(nodes, {**os.environ, **environment}, "--namespace NAME")
    notice = []
    if environment:
        notice = [
            f"simulation: {' '.join(f'{name}={value}' for name, value in environment.items())}",
            "simulation: set the same in another terminal to talk to it, or set your own before `rig sim`",
        ]
    return Runner(nodes, environment, notice).run()


def _robot(options: RobotOptions) -> int:
    from rig_robot.company import refuse_company
    from rig_robot.runner import Runner

    prepare_practice(options)
    nodes = robot(options)
    refuse_company(nodes, os.environ, "--namespace NAME")
    return Runner(nodes, {}, robot_notice(nodes, os.environ)).run()


def _doctor(options: DoctorOptions) -> int:
    from rig_robot.doctor import run

    return run(options)


def _goal(options: GoalOptions) -> int:
    _visit("camera")
    from rig_robot.send_goal import send

    answer = send(options.picture, options.namespace, options.timeout)
    print(answer.text)
    return 0 if answer.accepted else 1


def _tell(options: TellOptions) -> int:
    _visit("small")
    from rig_robot.operate import tell

    outcome = tell(options.word, options.namespace, options.timeout)
    print(outcome.text)
    return 0 if outcome.done else 1


def _watch(options: WatchOptions) -> int:
    _visit("small")
    from rig_robot.operate import watch

    watch(options.namespace)
    return 0


def _visit(profile: str) -> None:
    """Meet a running system in its ROS domain; before rclpy is loaded, since the DDS reads its profile as it starts."""
    from rig_robot.bringup import dds_profile

    os.environ.update(simulation_environment() | dds_profile(profile, os.environ))


def _environment(name: str, **arguments: Any) -> Any:
    import gymnasium

    import rig_sim  # noqa: F401  registers the environments

    return gymnasium.make(name, **arguments)


def _bags(options: BagsOptions) -> int:
    from rig_robot.recording.listing import run

    return run(options)


def _checkpoints(options: CheckpointsOptions) -> int:
    if options.switch:
        _visit("small")
    from rig_robot.lineage import run

    return run(options)


def _train(args: TrainArgs) -> int:
    from rig_robot.learning.train import train

    train(args, _environment)
    return 0


def _explore(args: ExploreArgs) -> int:
    from rig_robot.learning.train import record

    record(args, _environment)
    return 0


def _compare(args: CompareArgs) -> int:
    return compare(args, _environment)


def _eval(args: EvalArgs) -> int:
    from rig_robot.learning.evaluate import evaluate

    evaluate(args, _environment)
    return 0


_COMMANDS: dict[type, Callable[[Any], int]] = {
    SimOptions: _sim,
    RobotOptions: _robot,
    DoctorOptions: _doctor,
    GoalOptions: _goal,
    TellOptions: _tell,
    WatchOptions: _watch,
    BagsOptions: _bags,
    CheckpointsOptions: _checkpoints,
    TrainArgs: _train,
    ExploreArgs: _explore,
    CompareArgs: _compare,
    EvalArgs: _eval,
}

if __name__ == "__main__":
    main()
