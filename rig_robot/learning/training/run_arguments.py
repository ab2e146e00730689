"""Keeps the arguments of a run in its directory, and rejects a run there with other arguments. No torch."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from rig_robot.checkpoints.checkpoint import CONFIG_FILE, CURRENT
from rig_robot.learning.arguments import TrainArgs
from rig_robot.learning.push_arguments import PushArgs

ARGUMENTS = "args.json"
CHECKPOINTS = "checkpoints"
FORMERLY = {"rest_at_goal": False}
"""What runs did before there was an argument for it, where that is not the argument's default"""


def check_arguments(args: TrainArgs | PushArgs) -> None:
    """Check that a directory holds no run with other arguments, finished or not.

    Raises:
        ValueError: If it does; the text names each such argument with both values.
    """
    mine, kept = _values(args), _kept(args.out)
    if kept is None:
        return
    # For an argument that did not exist yet when the run began, the run had, in effect, its default, but for some.
    defaults = {field.name: field.default for field in dataclasses.fields(args)} | FORMERLY
    theirs = {name: kept.get(name, _json(defaults[name])) for name in mine}
    changed = ", ".join(f"{name} {theirs[name]}, not {mine[name]}" for name in mine if mine[name] != theirs[name])
    if changed:
        raise ValueError(f"{args.out} holds a run with {changed}: give the same, or another directory")


def keep_arguments(args: TrainArgs | PushArgs) -> None:
    """Write the arguments to the run's directory, and make the directory where there is none.

    Raises:
        ValueError: As `check_arguments`.
    """
    check_arguments(args)
    file = args.out / ARGUMENTS
    if file.exists():
        return
    args.out.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(".new")
    temporary.write_text(json.dumps(_values(args), indent=1) + "\n")
    temporary.rename(file)


def _values(args: TrainArgs | PushArgs) -> dict[str, Any]:
    """Return the arguments as JSON gives them back, without the directory."""
    values = {name: value for name, value in dataclasses.asdict(args).items() if name != "out"}
    if isinstance(args, TrainArgs):
        values["offline"] = args.offline and args.offline.resolve()
    return _json(values)


def _json(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))


def _kept(out: Path) -> dict[str, Any] | None:
    """Return the arguments of a directory's run; None where there is no run or its arguments are not known."""
    for file, of in ((out / ARGUMENTS, lambda kept: kept), (out / CHECKPOINTS / CURRENT / CONFIG_FILE, _trained)):
        try:
            kept = of(json.loads(file.read_text()))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except ValueError as error:
            raise ValueError(f"{file}, which says what run {out} holds, is not JSON: {error}") from None
        return kept if isinstance(kept, dict) else None
    return None


def _trained(config: dict[str, Any]) -> dict[str, Any] | None:
    """Return the arguments in a checkpoint of the run: runs of versions before `args.json` have no other record."""
    kept = config.get("training")
    return None if not kept or kept.get("offline") else kept  # the checkpoint of an offline run has changed ones
