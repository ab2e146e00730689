"""`rig`: the command line. Each command imports what it needs when it runs, so that `rig --help` is quick."""
# ruff: noqa: E402  The handler of Ctrl-C is installed before any module that takes time to load.

from __future__ import annotations

import math
import os
import re
import sys

from rig_robot.common import interrupts

IS_THE_PROCESS = __name__ == "__main__" or os.path.basename(sys.argv[0]) == "rig"  # noqa: PTH119
"""Whether this process is the `rig` command: workers and tests that import this file handle Ctrl-C themselves."""
if IS_THE_PROCESS:
    interrupts.end_at_once("rig: stopped before the command began")

import typing
from collections.abc import Callable
from itertools import pairwise
from typing import Annotated, Any

import tyro

from rig_robot.bringup.environment import simulation_environment
from rig_robot.bringup.options import RobotOptions, SimOptions
from rig_robot.bringup.ros_environment import refuse_obstacles, refuse_unknown_renderer
from rig_robot.bringup.systems import prepare_practice, robot, robot_notice, simulation
from rig_robot.commands.options import (
    DEPRECATED,
    BagsOptions,
    CheckpointsOptions,
    GoalOptions,
    PageOptions,
    TellOptions,
    WatchOptions,
)
from rig_robot.common.output_paths import os_error_text
from rig_robot.doctor.options import DoctorOptions
from rig_robot.learning.arguments import METHODS, EvalArgs, ExploreArgs, Method, TrainArgs, preset
from rig_robot.learning.experiments.compare import CompareArgs, compare
from rig_robot.learning.push_arguments import PushArgs


def main() -> None:
    """Run the command that the arguments name; exit with 2 and one line on stderr if the arguments are invalid."""
    command = tyro.cli(
        Annotated[SimOptions, tyro.conf.subcommand("sim", description="Run the whole system in simulation.")]
        | Annotated[RobotOptions, tyro.conf.subcommand("robot", description="Run the nodes of a real robot, disarmed.")]
        | Annotated[DoctorOptions, tyro.conf.subcommand("doctor")]
        | Annotated[GoalOptions, tyro.conf.subcommand("goal")]
        | Annotated[TellOptions, tyro.conf.subcommand("tell")]
        | Annotated[WatchOptions, tyro.conf.subcommand("watch")]
        | Annotated[PageOptions, tyro.conf.subcommand("page")]
        | Annotated[BagsOptions, tyro.conf.subcommand("bags")]
        | Annotated[CheckpointsOptions, tyro.conf.subcommand("checkpoints")]
        | _train_command(sys.argv[1:])
        | Annotated[ExploreArgs, tyro.conf.subcommand("explore")]
        | Annotated[CompareArgs, tyro.conf.subcommand("compare")]
        | Annotated[EvalArgs, tyro.conf.subcommand("eval"), tyro.conf.PositionalRequiredArgs],
        prog="rig",
        description="Move a robot arm to the position that a goal image shows (RIG).",
    )
    try:
        _check(command)
        status = _COMMANDS[type(command)](command)
    except OSError as error:
        print(f"rig: {os_error_text(error)}", file=sys.stderr)
        status = 2
    except ValueError as error:
        print(f"rig: {error}", file=sys.stderr)
        status = 2
    interrupts.end_at_once("", status)  # Ctrl-C while the interpreter shuts down prints nothing
    sys.exit(status)


def _train_command(arguments: list[str]) -> Any:
    """Return what `rig train` is: its arguments depend on the value of --task in `arguments`, defaults on --method."""
    if any(task != "reach" for task in _given("--task", arguments)):
        return Annotated[PushArgs, tyro.conf.subcommand("train")]
    named = [method for method in _given("--method", arguments) if method in METHODS]
    default = preset(typing.cast(Method, named[-1] if named else "rig"), out=tyro.MISSING)
    return Annotated[TrainArgs, tyro.conf.subcommand("train", default=default)]


def _given(option: str, arguments: list[str]) -> list[str]:
    """Return the values that an option is given among the arguments."""
    apart = [after for before, after in pairwise([*arguments, ""]) if before == option]
    return apart + [text.removeprefix(f"{option}=") for text in arguments if text.startswith(f"{option}=")]


def _sim(options: SimOptions) -> int:
    interrupts.end_at_once("rig sim: stopped before its nodes were started")
    from rig_robot.bringup.process_runner import Runner
    from rig_robot.bringup.second_system import refuse_company

    environment = simulation_environment()
    refuse_obstacles({**os.environ, **environment})
    prepare_practice(options)
    nodes = simulation(options)
    refuse_company(nodes, {**os.environ, **environment}, "--namespace NAME")
    notice = []
    if environment:
        notice = [
            f"simulation: {' '.join(f'{name}={value}' for name, value in environment.items())}",
            "simulation: set the same in another terminal to talk to it, or set your own before `rig sim`",
        ]
    return Runner(nodes, environment, notice).run()


def _robot(options: RobotOptions) -> int:
    interrupts.end_at_once("rig robot: stopped before its nodes were started")
    from rig_robot.bringup.process_runner import Runner
    from rig_robot.bringup.second_system import refuse_company

    refuse_obstacles(os.environ)
    prepare_practice(options)
    nodes = robot(options)
    refuse_company(nodes, os.environ, "--namespace NAME")
    return Runner(nodes, {}, robot_notice(nodes, os.environ)).run()


def _doctor(options: DoctorOptions) -> int:
    from rig_robot.commands.doctor import run

    with interrupts.orderly("rig doctor: stopped; only the checks above were done"):
        return run(options)


def _goal(options: GoalOptions) -> int:
    picture = options.source()
    _join_ros_domain("camera")
    from rig_robot.commands.goal import send

    with interrupts.orderly("rig goal: stopped; the robot may have taken the picture as its goal all the same"):
        arrival = options.arrival if options.wait else None
        answer = send(picture, options.namespace, options.timeout, arrival)
    print(answer.text)
    return 0 if answer.accepted else 1


def _tell(options: TellOptions) -> int:
    command = options.command()
    if options.word in DEPRECATED:
        line = f"rig: `rig tell {options.word}` is deprecated and will be removed: use `rig tell {command}`"
        print(line, file=sys.stderr)
    _join_ros_domain("small")
    from rig_robot.commands.tell import tell

    with interrupts.orderly(f"rig tell {command}: stopped; the robot may have done it all the same"):
        outcome = tell(command, options.namespace, options.timeout)
    print(outcome.text)
    return 0 if outcome.done else 1


def _watch(options: WatchOptions) -> int:
    _join_ros_domain("small")
    from rig_robot.commands.watch import watch

    with interrupts.orderly("rig watch: stopped"):
        watch(options.namespace)
    return 0


def _page(options: PageOptions) -> int:
    interrupts.end_at_once("rig page: stopped before the page was served")
    environment = simulation_environment()
    _join_ros_domain("small")
    from rig_robot.commands.page import serve

    return serve(options, environment)


def _join_ros_domain(profile: str) -> None:
    """Set the environment with which this process meets a running system in its ROS domain.

    Call it before rclpy is imported: the DDS reads its profile when it is loaded.

    Args:
        profile: Name of the Fast DDS profile in config/dds, by the size of the messages: "small" or "camera".

    Raises:
        BringupError: If ROS cannot start in the user's environment.
    """
    from rig_robot.bringup.environment import dds_profile
    from rig_robot.bringup.other_users import CURE, cause, over_udp, strangers

    os.environ.update(simulation_environment())
    refuse_obstacles(os.environ)
    if (names := strangers(os.environ)) and (variables := over_udp(os.environ)):
        os.environ.update(variables)
        print(f"rig: {cause(names)}: talking over UDP (other programs need {CURE})", file=sys.stderr)
    else:
        os.environ.update(dds_profile(profile, os.environ))


def _check(command: Any) -> None:
    """Validate the options that several commands share: positive times and a ROS namespace."""
    namespace = getattr(command, "namespace", "")
    for name in ("timeout", "arrival"):
        if not 0 < (seconds := getattr(command, name, 1.0)) < math.inf:
            raise ValueError(f"{name} is {seconds:g}: must be a number of seconds greater than 0")
    if not re.fullmatch(r"/?([A-Za-z_]\w*(/[A-Za-z_]\w*)*)?/?", namespace, re.ASCII):
        raise ValueError(f"namespace is {namespace!r}: must be names of letters, digits and _, with / between them")


def _environment(name: str, **arguments: Any) -> Any:
    refuse_unknown_renderer(os.environ)
    import gymnasium

    import rig_sim  # noqa: F401  registers the environments

    ours = ", ".join(sorted(known for known in gymnasium.registry if known.startswith("RigSawyer")))
    try:
        return gymnasium.make(name, **arguments)
    except (gymnasium.error.Error, ImportError) as error:
        raise ValueError(f"env is {name!r}: {error} (choose {ours}, or MODULE:NAME for your own)") from None
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        why = str(error).partition(" was raised")[0]
        raise ValueError(f"env is {name!r}, which shows no goals as pictures ({ours} do): {why}") from None


def _bags(options: BagsOptions) -> int:
    interrupts.end_at_once("rig bags: stopped")
    from rig_robot.commands.bags import run

    return run(options)


def _checkpoints(options: CheckpointsOptions) -> int:
    interrupts.end_at_once("rig checkpoints: stopped")
    if options.switch:
        _join_ros_domain("small")
    from rig_robot.commands.checkpoints import run

    if not options.switch:
        return run(options)
    with interrupts.orderly("rig checkpoints: stopped; `rig checkpoints` without --switch tells which one is current"):
        return run(options)


def _train(args: TrainArgs) -> int:
    interrupts.end_at_once("rig train: stopped; the same command goes on from there")
    from rig_robot.learning.training.train import train

    with interrupts.orderly("rig train: stopped; the same command goes on from there"):
        train(args, _environment)
    return 0


def _train_push(args: PushArgs) -> int:
    interrupts.end_at_once("rig train: stopped; the same command goes on from there")
    from rig_robot.learning.training.push import train_push

    with interrupts.orderly("rig train: stopped; the same command goes on from there"):
        train_push(args, _environment)
    return 0


def _explore(args: ExploreArgs) -> int:
    interrupts.end_at_once("rig explore: stopped; nothing was recorded, the same command starts again")
    from rig_robot.learning.training.train import record

    record(args, _environment)
    return 0


def _compare(args: CompareArgs) -> int:
    with interrupts.orderly("rig compare: stopped; the same command goes on from there"):
        return compare(args, _environment)


def _eval(args: EvalArgs) -> int:
    interrupts.end_at_once("rig eval: stopped; no figures were written, the same command starts again")
    from rig_robot.learning.training.evaluate import evaluate

    evaluate(args, _environment)
    return 0


_COMMANDS: dict[type, Callable[[Any], int]] = {
    SimOptions: _sim,
    RobotOptions: _robot,
    DoctorOptions: _doctor,
    GoalOptions: _goal,
    TellOptions: _tell,
    WatchOptions: _watch,
    PageOptions: _page,
    BagsOptions: _bags,
    CheckpointsOptions: _checkpoints,
    TrainArgs: _train,
    PushArgs: _train_push,
    ExploreArgs: _explore,
    CompareArgs: _compare,
    EvalArgs: _eval,
}

if __name__ == "__main__":
    main()
