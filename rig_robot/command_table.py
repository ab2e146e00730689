"""The commands of `rig`: the options of each, and what runs it. Each imports what it needs when it runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from rig_robot.common import interrupts

if TYPE_CHECKING:
    from rig_robot.bringup.options import RobotOptions, SimOptions
    from rig_robot.commands.options import (
        BagsOptions,
        CheckpointsOptions,
        ExportOptions,
        GoalOptions,
        ImportOptions,
        PageOptions,
        TellOptions,
        ViewOptions,
        WatchOptions,
    )
    from rig_robot.doctor.options import DoctorOptions
    from rig_robot.learning.arguments import EvalArgs, ExploreArgs, TrainArgs
    from rig_robot.learning.experiments.compare import CompareArgs
    from rig_robot.learning.push_arguments import PushArgs


def _sim(options: SimOptions) -> int:
    interrupts.end_at_once("rig sim: stopped before its nodes were started")
    from rig_robot.bringup.environment import simulation_environment
    from rig_robot.bringup.process_runner import Runner
    from rig_robot.bringup.ros_environment import refuse_obstacles
    from rig_robot.bringup.second_system import refuse_company
    from rig_robot.bringup.systems import prepare_practice, simulation, simulation_notice

    environment = simulation_environment()
    refuse_obstacles({**os.environ, **environment})
    prepare_practice(options)
    nodes = simulation(options)
    refuse_company(nodes, {**os.environ, **environment}, "--namespace NAME")
    return Runner(nodes, environment, simulation_notice(options, nodes, environment)).run()


def _robot(options: RobotOptions) -> int:
    interrupts.end_at_once("rig robot: stopped before its nodes were started")
    from rig_robot.bringup.process_runner import Runner
    from rig_robot.bringup.ros_environment import refuse_obstacles
    from rig_robot.bringup.second_system import refuse_company
    from rig_robot.bringup.systems import prepare_practice, robot, robot_notice

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
    from rig_robot.commands.options import DEPRECATED

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
    from rig_robot.bringup.environment import simulation_environment

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
    from rig_robot.bringup.environment import dds_profile, simulation_environment
    from rig_robot.bringup.other_users import CURE, cause, over_udp, strangers
    from rig_robot.bringup.ros_environment import refuse_obstacles

    os.environ.update(simulation_environment())
    refuse_obstacles(os.environ)
    if (names := strangers(os.environ)) and (variables := over_udp(os.environ)):
        os.environ.update(variables)
        print(f"rig: {cause(names)}: talking over UDP (other programs need {CURE})", file=sys.stderr)
    else:
        os.environ.update(dds_profile(profile, os.environ))


def _environment(name: str, **arguments: Any) -> Any:
    from rig_robot.bringup.ros_environment import refuse_unknown_renderer

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


def _bags(options: BagsOptions | ExportOptions | ImportOptions) -> int:
    interrupts.end_at_once("rig bags: stopped")
    from rig_robot.commands.bags import run
    from rig_robot.commands.options import ExportOptions, ImportOptions

    if isinstance(options, ImportOptions):
        return _import(options)
    return _export(options) if isinstance(options, ExportOptions) else run(options)


def _view(options: ViewOptions) -> int:
    interrupts.end_at_once("rig view: stopped")
    if options.topic:
        _join_ros_domain("camera")
    from rig_robot.commands.view import run

    return run(options)


def _export(options: ExportOptions) -> int:
    from rig_robot.commands.export_bags import run

    with interrupts.orderly("rig bags export: stopped; no dataset was written, the same command starts again"):
        return run(options)


def _import(options: ImportOptions) -> int:
    from rig_robot.commands.import_bags import run

    with interrupts.orderly("rig bags import: stopped; no episodes were written, the same command starts again"):
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


def _train(args: TrainArgs | PushArgs) -> int:
    from rig_robot.learning.arguments import TrainArgs

    return _train_reach(args) if isinstance(args, TrainArgs) else _train_push(args)


def _train_reach(args: TrainArgs) -> int:
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
    from rig_robot.learning.experiments.compare import compare

    with interrupts.orderly("rig compare: stopped; the same command goes on from there"):
        return compare(args, _environment)


def _eval(args: EvalArgs) -> int:
    interrupts.end_at_once("rig eval: stopped; no figures were written, the same command starts again")
    from rig_robot.learning.training.evaluate import evaluate

    evaluate(args, _environment)
    return 0


class Command(NamedTuple):
    """What `rig NAME` is."""

    options: str
    """module and name of its options, in the package"""
    run: Callable[[Any], int]
    about: str = ""
    """description, where the options' docstring is not that"""


COMMANDS = {
    "sim": Command(
        "bringup.options:SimOptions",
        _sim,
        "Run the whole system in simulation.\n\nExample: rig sim --goals 10 --images out/sim",
    ),
    "robot": Command(
        "bringup.options:RobotOptions",
        _robot,
        "Run the nodes of a real robot, disarmed.\n\n"
        "Example: rig robot --config my_robot.yaml --checkpoint my_checkpoint",
    ),
    "doctor": Command("doctor.options:DoctorOptions", _doctor),
    "goal": Command("commands.options:GoalOptions", _goal),
    "tell": Command("commands.options:TellOptions", _tell),
    "watch": Command("commands.options:WatchOptions", _watch),
    "page": Command("commands.options:PageOptions", _page),
    "bags": Command("commands.options:BagsOptions", _bags),
    "checkpoints": Command("commands.options:CheckpointsOptions", _checkpoints),
    "view": Command("commands.options:ViewOptions", _view),
    "train": Command("learning.arguments:TrainArgs", _train),
    "explore": Command("learning.arguments:ExploreArgs", _explore),
    "compare": Command("learning.experiments.compare:CompareArgs", _compare),
    "eval": Command("learning.arguments:EvalArgs", _eval),
}
"""The commands, in the order of the help"""
