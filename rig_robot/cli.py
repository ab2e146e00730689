"""`rig`: the command line. It reads the arguments, and runs the command that they name (`command_table`)."""
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
from importlib.metadata import version
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from rig_robot.command_table import COMMANDS
from rig_robot.common.output_paths import os_error_text

if TYPE_CHECKING:
    from rig_robot.learning.arguments import Method, TrainArgs
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
        status = COMMANDS[name].run(options)
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
    if name in COMMANDS:
        options, more = _options(name, arguments)
        return name, tyro.cli(options, prog=f"rig {name}", args=arguments[1:], **more)
    subcommands = []
    for each in COMMANDS:
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
    command = COMMANDS[name]
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
        from rig_robot.learning.methods import METHODS, preset

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


def _check(command: Any) -> None:
    """Validate the options that several commands share: positive times and a ROS namespace."""
    from rig_robot.common.ros_names import check_namespace

    for name in ("timeout", "arrival"):
        if not 0 < (seconds := getattr(command, name, 1.0)) < math.inf:
            raise ValueError(f"{name} is {seconds:g}: must be a number of seconds greater than 0")
    check_namespace(getattr(command, "namespace", ""))


if __name__ == "__main__":
    main()
