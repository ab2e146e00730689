"""The registry of representations: every entry can be made, says the truth of itself, and is on the command line."""

from pathlib import Path

import numpy as np
import pytest
import tyro

from rig_robot.learning.action_box import ActionBox
from rig_robot.learning.arguments import TrainArgs
from rig_robot.learning.representation_registry import REPRESENTATIONS
from rig_robot.learning.representations import find, make
from rig_robot.learning.representations.base import Representation
from rig_robot.learning.representations.latent import Latent
from rig_robot.learning.rl.replay_buffer import ReplayBuffer

BOX = ActionBox.of("xy", (0.45, -0.2, 0.15), (0.75, 0.2, 0.15), 0.02)


@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_each_is_chosen_on_the_command_line_learns_and_encodes(name: str) -> None:
    few = ["--vae-updates", "25", "--vae-batch", "8", "--fine-tune-every", "0", "--representation", name]
    args = tyro.cli(TrainArgs, args=["--out", "unused", *few])
    representation, rng = make(args, BOX), np.random.default_rng(0)
    assert isinstance(representation, Representation) and isinstance(representation, find(name))
    replay = ReplayBuffer(40, representation.size, 2, rng.integers(0, 256, (40, 48, 48, 3), dtype=np.uint8))
    for step in range(40):
        state = rng.normal(size=3)
        if step % 10:
            replay.append(rng.uniform(-1, 1, 2), 0.0, replay.images[step], state)
        else:
            replay.start(0.0, replay.images[step], state)
    for unit in range(representation.units):
        representation.fit(replay, unit, rng)
    encoded = representation.encode_all(replay)
    assert encoded.shape == (40, representation.size) and encoded.dtype == np.float32 and np.isfinite(encoded).all()


def test_entries_say_which_have_a_vae_and_which_a_robot_can_act_on() -> None:
    for name, entry in REPRESENTATIONS.items():
        assert entry.has_vae == issubclass(find(name), Latent)
    assert [name for name in REPRESENTATIONS if find(name).deployable] == ["controllable", "latent"]


def test_a_name_that_is_not_registered_is_refused_with_those_that_are() -> None:
    with pytest.raises(ValueError, match="representation is nothing, expected one of controllable, "):
        TrainArgs(out=Path("unused"), representation="nothing")
