"""Saves and loads the state of a run, so that a killed run goes on where it stopped.

Images are written to mapped files as they come and never change; everything else (networks, optimisers, the rest of
the replay buffer, how far the run is) is one small safetensors file that is replaced by rename after every unit of
work. No random state needs to be kept: see `Rig` and `PushLearner`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import safetensors
import torch
from safetensors.numpy import save_file
from torch import nn

from rig_robot.learning.rl.goal_prior import Prior
from rig_robot.learning.rl.replay_buffer import ReplayBuffer

STATE_FILE = "state.safetensors"


class Learner(Protocol):
    """What is saved of a learner, whatever it learns."""

    replay: ReplayBuffer
    prior: Prior
    """of the goals"""

    @property
    def progress(self) -> Sequence[str]:
        """Names of the attributes that count its units of work."""

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """Its networks, by name."""

    @property
    def optimisers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Their optimisers, by name."""


def save_state(
    directory: Path, learner: Learner, notes: dict, more: Mapping[str, np.ndarray] | None = None, name: str = STATE_FILE
) -> None:
    """Replace the saved state of `learner`.

    Args:
        directory: Where.
        learner: Its networks, optimisers, replay buffer but for the images, and prior are saved.
        notes: Anything that JSON can hold; `load_notes` returns it.
        more: Further arrays; `load_state` returns them.
        name: Of the file.
    """
    tensors = {name: tensor.detach().numpy() for name, tensor in _tensors(learner)}
    tensors |= replay_arrays(learner.replay, "replay")
    tensors |= {"prior.mean": learner.prior.mean, "prior.covariance": learner.prior.covariance}
    tensors |= more or {}
    progress = {name: getattr(learner, name) for name in learner.progress}
    temporary = directory / f".{name}"
    contiguous = {name: np.asarray(value, order="C") for name, value in tensors.items()}
    save_file(contiguous, temporary, {"progress": json.dumps(progress), "notes": json.dumps(notes)})
    temporary.rename(directory / name)


def load_notes(directory: Path) -> dict | None:
    """Return the notes of the saved state; None where nothing was saved yet."""
    path = directory / STATE_FILE
    if not path.exists():
        return None
    with safetensors.safe_open(path, framework="np") as file:
        return json.loads(file.metadata()["notes"])


def load_state(directory: Path, learner: Learner) -> dict[str, np.ndarray]:
    """Bring `learner`, made with the same arguments, to its saved state; return all arrays that were saved."""
    with safetensors.safe_open(directory / STATE_FILE, framework="np") as file:
        progress = json.loads(file.metadata()["progress"])
        saved = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    for name in learner.progress:
        setattr(learner, name, progress.get(name, 0))  # a run of an earlier version may not count it
    fill_replay(learner.replay, "replay", saved)
    _fill_learnt(learner, saved)
    return saved


def load_learnt(path: Path, learner: Learner) -> None:
    """Restore networks, optimisers and prior, but not the replay buffer, from the state at `path`."""
    with safetensors.safe_open(path, framework="np") as file:
        names = [name for name in file.keys() if not name.startswith("replay.")]  # noqa: SIM118 (not a mapping)
        _fill_learnt(learner, {name: file.get_tensor(name) for name in names})


def replay_arrays(replay: ReplayBuffer, name: str) -> dict[str, np.ndarray]:
    """Return all arrays of a replay buffer but its images, by names that begin with `name`."""
    size = replay.size
    return {
        f"{name}.latents": replay.latents[:size],
        f"{name}.states": replay.states[:size],
        f"{name}.actions": replay.actions[:size],
        f"{name}.episode": replay.episode[:size],
        f"{name}.first": replay.first,
        f"{name}.goals": replay.goals,
    }


def fill_replay(replay: ReplayBuffer, name: str, saved: Mapping[str, np.ndarray]) -> None:
    """Fill a new replay buffer with the arrays of `replay_arrays`."""
    size = len(saved[f"{name}.latents"])
    replay.size, replay.first, replay.goals = size, saved[f"{name}.first"], saved[f"{name}.goals"]
    replay.states[:size] = saved[f"{name}.states"]
    replay.latents[:size] = saved[f"{name}.latents"]
    replay.actions[:size] = saved[f"{name}.actions"]
    replay.episode[:size] = saved[f"{name}.episode"]


def _fill_learnt(learner: Learner, saved: Mapping[str, np.ndarray]) -> None:
    learner.prior = Prior(saved["prior.mean"], saved["prior.covariance"])
    for name, optimiser in learner.optimisers.items():
        optimiser.state.clear()
        _begin(optimiser, {int(key.split(".")[1]) for key in saved if key.startswith(f"{name}.")})
    with torch.no_grad():
        for name, tensor in _tensors(learner):
            tensor.copy_(torch.from_numpy(saved[name]))


def _tensors(learner: Learner) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield every tensor that training changes, with a name."""
    for prefix, module in learner.modules.items():
        for name, tensor in module.state_dict().items():
            yield f"{prefix}.{name}", tensor
    for prefix, optimiser in learner.optimisers.items():
        for number, parameter in enumerate(_parameters(optimiser)):
            for name, tensor in optimiser.state.get(parameter, {}).items():
                yield f"{prefix}.{number}.{name}", tensor


def _begin(optimiser: torch.optim.Optimizer, stepped: set[int]) -> None:
    """Give an Adam empty state tensors for the parameters (by number) that were stepped; the caller fills them."""
    for number, parameter in enumerate(_parameters(optimiser)):
        if number in stepped:
            optimiser.state[parameter] = {
                "step": torch.zeros((), dtype=torch.float32),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }


def _parameters(optimiser: torch.optim.Optimizer) -> list[torch.Tensor]:
    return [parameter for group in optimiser.param_groups for parameter in group["params"]]
