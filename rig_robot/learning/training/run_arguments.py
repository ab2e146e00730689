"""The arguments of a run, kept in its directory: one that is given others is refused, and none is ignored. No torch."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from rig_robot.checkpoints.checkpoint import CONFIG_FILE, CURRENT
from rig_robot.learning.arguments import TrainArgs

ARGUMENTS = "args.json"
CHECKPOINTS = "checkpoints"


def check_claim(args: TrainArgs) -> None:
    """Refuse a directory that holds a run with other arguments, finished or not.

    Raises:
        ValueError: If it does; the text names each such argument with both values.
    """
    mine, kept = _values(args), _kept(args.out)
    if kept is None:
        return
    # An argument that is newer than the run had, in effect, its default.
    defaults = {field.name: field.default for field in dataclasses.fields(args)}
    theirs = {name: kept.get(name, _json(defaults[name])) for name in mine}
    changed = ", ".join(f"{name} {theirs[name]}, not {mine[name]}" for name in mine if mine[name] != theirs[name])
    if changed:
        raise ValueError(f"{args.out} holds a run with {changed}: give the same, or another directory")


def claim(args: TrainArgs) -> None:
    """Keep the arguments in the run's directory, which is made where there is none; refuse as `check_claim` does."""
    check_claim(args)
    file = args.out / ARGUMENTS
    if file.exists():
        return
    args.out.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(".new")
    temporary.write_text(json.dumps(_values(args), indent=1) + "\n")
    temporary.rename(file)


def _values(args: TrainArgs) -> dict[str, Any]:
    """Return the arguments as JSON gives them back, without the directory."""
    values = {name: value for name, value in dataclasses.asdict(args).items() if name != "out"}
    return _json(values | {"offline": args.offline and args.offline.resolve()})


def _json(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))


def _kept(out: Path) -> dict[str, Any] | None:
    """Return the arguments of a directory's run; None where there is none, or its arguments are not known."""
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
    """Return the arguments by the run's checkpoint: runs that are older than `args.json` have no other witness."""
    kept = config.get("training")
    return None if not kept or kept.get("offline") else kept  # of an offline run it says what was made of them
