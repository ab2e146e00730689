"""The methods that `rig train --method` names: which of the arguments' defaults each changes, and to what."""

from typing import Any

from rig_robot.learning.arguments import Method, TrainArgs

MORE_UPDATES: dict[str, Any] = {"rehearsal_updates": 3_000, "updates": 4}
"""Of the policy: what a robot that practises does, and what the methods beside rig were measured with"""
PLAIN_VAE: dict[str, Any] = {
    **MORE_UPDATES,
    "representation": "latent",
    "vae_updates": 800,
    "vae_learning_rate": 1e-3,
    "vae_batch": 128,
    "channels": (8, 16, 32),
    "beta": 20.0,
}
METHODS: dict[Method, dict[str, Any]] = {
    "rig": {},
    "rig-lecture": {
        "rehearsal_updates": 0,
        "updates": 4,
        "keep_exploration": False,
        "future": 0.0,
        "imagined": 0.5,
        "replayed": 0.0,
    },
    "rig-vae": PLAIN_VAE,
    "rig-2018": {
        **PLAIN_VAE,
        "channels": (16, 32, 64),
        "likelihood": "bernoulli",
        "beta": 10 / 128,
        "calibration": 0.0,
        "vae_updates": 2_000,
        "one_cycle": False,
        "fine_tune_every": 0,
        "hidden": (400, 300),
        "layer_norm": False,
        "tip": False,
        "rest_at_goal": False,
        "falling_rate": False,
        "batch": 128,
        "rehearsal_updates": 0,
        "warm_up": 4_000,
        "keep_exploration": False,
        "gamma": 0.99,
        "tau": 0.005,
        "action_penalty": 0.0,
        "noise": 0.2,
        "noise_theta": 0.15,
        "epsilon": 0.0,
        "prior": "standard",
        "future": 0.4,
        "imagined": 0.5,
        "replayed": 0.0,
    },
    "pixels": {
        **MORE_UPDATES,
        "representation": "pixels",
        "latent_size": 64,
        "fine_tune_every": 0,
        "imagined": 0.0,
        "replayed": 0.5,
    },
    "oracle": {**MORE_UPDATES, "representation": "state", "fine_tune_every": 0},
}
"""Which of the defaults of `TrainArgs` each method changes, and to what.

rig-vae was this project's default before there were split VAEs: a plain VAE of the whole picture.

rig-lecture has line 12 of Algorithm 1 as the lecture has it: half of the goals are replaced by z_g' ~ p(z), the others
stay z_g. Only transitions of practice have a z_g to keep (line 9), so those of exploration train the VAE alone.

rig-2018 is the published code's configuration (rlkit v0.1.2, examples/rig), except that its VAE trains for 2,000
updates instead of 39,000, and that its actor is given g - z in place of g, which is the same to a linear layer.
"""


def preset(method: Method, **changes: Any) -> TrainArgs:
    """Return the arguments of a method, with changes; `out` must be one of them."""
    return TrainArgs(**(METHODS[method] | {"method": method} | changes))
