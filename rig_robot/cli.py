"""`rig`: the command line. Each command imports what it needs when it runs, so that `rig --help` is quick."""
# ruff: noqa: E402  The handler of Ctrl-C is installed before any module that takes time to load.

from __future__ import annotations

import math
import os
import sys

from rig_robot.common import interrupts

IS_THE_PROCESS = __name__ == "__main__" or os.path.basename(sys.argv[0]) == "rig"  # noqa: PTH119
"""Whether this process is the `rig` command: workers and tests that import this file handle Ctrl-C themselves."""
if IS_THE_PROCESS:
    interrupts.end_at_once("rig: stopped before the command began")

import importlib
import typing
from collections.abc import Callable
from importlib.metadata import version
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from rig_robot.common.output_paths import os_error_text

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
    from rig_robot.learning.arguments import EvalArgs, ExploreArgs, Method, TrainArgs
    from rig_robot.learning.experiments.compare import CompareArgs
    from rig_robot.learning.push_arguments import PushArgs

COMPLETION = "--tyro-print-completion"
"""Option that prints a shell's completion script"""
_ABOUT = "Move a robot arm to the position that a goal image shows (RIG). `rig COMMAND --help` explains each command."


def main() -> None:
    """Run the command that the arguments name; exit with 2 and one line on stderr if the arguments are invalid."""
    arguments = sys.argv[1:]
    if arguments == ["--version"]:
        print(f"rig_robot {version('rig_robot')}")
        return
    try:
        name, options = _parse(arguments)
        _check(options)
        status = _COMMANDS[name].run(options)
    except OSError as error:
        print(f"rig: {os_error_text(error)}", file=sys.stderr)
        status = 2
    except ValueError as error:
        print(f"rig: {error}", file=sys.stderr)
        status = 2
    interrupts.end_at_once("", status)  # Ctrl-C while the interpreter shuts down prints nothing
    sys.exit(status)


def _parse(arguments: list[str]) -> tuple[str, Any]:
    """Return the command and its options; where the arguments ask for help or name none, print that and exit.

    Only the options of the command that is named are loaded: those of all commands take a second.
    """
    name = arguments[0] if arguments else ""
    if name == "train":
        return name, _train_options(arguments)
    if name in _COMMANDS:
        options, more = _options(name, arguments)
        return name, tyro.cli(options, prog=f"rig {name}", args=arguments[1:], **more)
    subcommands = []
    for each in _COMMANDS:
        options, more = _options(each, arguments)
        if COMPLETION in arguments:
            from rig_robot.common.grouped_options import one_line_helps

            options = one_line_helps(options) if isinstance(options, type) else options
        subcommands.append(Annotated[options, tyro.conf.subcommand(each, **more)])
    union: Any = typing.Union[tuple(subcommands)]  # noqa: UP007
    return name, tyro.cli(union, prog="rig", description=_ABOUT, args=arguments)


def _options(name: str, arguments: list[str]) -> tuple[Any, dict[str, Any]]:
    """Return the type of a command's options, as tyro reads it, and its description and defaults where there are any.

    The arguments of `rig train` depend on the value of --task in `arguments`, their defaults on --method; those of `rig
    bags` on whether episodes are to be listed or, with `export` or `import` and more after it, exported or imported.
    """
    command = _COMMANDS[name]
    module, _, kind = command.options.partition(":")
    options: Any = getattr(importlib.import_module(f"rig_robot.{module}"), kind)
    more: dict[str, Any] = {"description": command.about} if command.about else {}
    if name == "eval":
        options = Annotated[options, tyro.conf.PositionalRequiredArgs]
    elif name == "bags" and arguments[1:2] in (["export"], ["import"]) and len(arguments) > 2:
        from rig_robot.commands.options import ExportOptions, ImportOptions

        options = ExportOptions if arguments[1] == "export" else ImportOptions
    elif name == "train" and any(task != "reach" for task in _given("--task", arguments)):
        from rig_robot.learning.push_arguments import PushArgs

        options = PushArgs
    elif name == "train":
        from rig_robot.learning.arguments import METHODS, preset

        named = [method for method in _given("--method", arguments) if method in METHODS]
        more["default"] = preset(typing.cast("Method", named[-1] if named else "rig"), out=tyro.MISSING)
    return options, more


def _train_options(arguments: list[str]) -> TrainArgs | PushArgs:
    """Return the arguments of `rig train`, whose help shows them in groups."""
    from rig_robot.common.grouped_options import GroupedOptions
    from rig_robot.learning import arguments as reach_arguments
    from rig_robot.learning import push_arguments

    options, more = _options("train", arguments)
    groups = reach_arguments.GROUPS if options is reach_arguments.TrainArgs else push_arguments.GROUPS
    return GroupedOptions(options, groups, more.get("default")).parse("rig train", arguments[1:])


def _given(option: str, arguments: list[str]) -> list[str]:
    """Return the values that an option is given among the arguments."""
    apart = [after for before, after in pairwise([*arguments, ""]) if before == option]
    return apart + [text.removeprefix(f"{option}=") for text in arguments if text.startswith(f"{option}=")]


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


def _check(command: Any) -> None:
    """Validate the options that several commands share: positive times and a ROS namespace."""
    from rig_robot.common.ros_names import check_namespace

    for name in ("timeout", "arrival"):
        if not 0 < (seconds := getattr(command, name, 1.0)) < math.inf:
            raise ValueError(f"{name} is {seconds:g}: must be a number of seconds greater than 0")
    check_namespace(getattr(command, "namespace", ""))


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


class _Command(typing.NamedTuple):
    """What `rig NAME` is."""

    options: str
    """module and name of its options, in the package"""
    run: Callable[[Any], int]
    about: str = ""
    """description, where the options' docstring is not that"""


_COMMANDS = {
    "sim": _Command(
        "bringup.options:SimOptions",
        _sim,
        "Run the whole system in simulation.\n\nExample: rig sim --goals 10 --images out/sim",
    ),
    "robot": _Command(
        "bringup.options:RobotOptions",
        _robot,
        "Run the nodes of a real robot, disarmed.\n\n"
        "Example: rig robot --config my_robot.yaml --checkpoint my_checkpoint",
    ),
    "doctor": _Command("doctor.options:DoctorOptions", _doctor),
    "goal": _Command("commands.options:GoalOptions", _goal),
    "tell": _Command("commands.options:TellOptions", _tell),
    "watch": _Command("commands.options:WatchOptions", _watch),
    "page": _Command("commands.options:PageOptions", _page),
    "bags": _Command("commands.options:BagsOptions", _bags),
    "checkpoints": _Command("commands.options:CheckpointsOptions", _checkpoints),
    "view": _Command("commands.options:ViewOptions", _view),
    "train": _Command("learning.arguments:TrainArgs", _train),
    "explore": _Command("learning.arguments:ExploreArgs", _explore),
    "compare": _Command("learning.experiments.compare:CompareArgs", _compare),
    "eval": _Command("learning.arguments:EvalArgs", _eval),
}
"""The commands, in the order of the help"""

if __name__ == "__main__":
    main()
