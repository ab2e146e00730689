"""Follows tool and object from one observation to the next; an object that the arm hides is where it was last seen."""

from __future__ import annotations

import numpy as np

from rig_robot.inference.object_memory import ObjectMemory
from rig_robot.learning.representations.objects import ObjectLatent
from rig_robot.learning.representations.positions import Positions
from rig_robot.learning.rl.replay_buffer import Frames


class Tracker:
    """Encodes observations of an environment, each by itself (goals) or one after the other (states)."""

    def __init__(self, representation: ObjectLatent | Positions) -> None:
        self._representation = representation
        self._memory = ObjectMemory(representation.axes)
        self._sure: list[bool] = []
        self._start: np.ndarray | None = None

    @property
    def sure(self) -> np.ndarray:
        """Whether each observation that was tracked since `begin` shows the object clearly: bool [T]."""
        return np.array(self._sure, bool)

    def begin(self) -> None:
        """Begin an episode; the object is where the one before left it."""
        self._sure.clear()

    def encode(self, observation: dict[str, np.ndarray], context: np.ndarray | None = None) -> np.ndarray:
        """Return e(s) of an environment's observation by itself: float32 [L]."""
        return self._look(observation)[0]

    def track(self, observation: dict[str, np.ndarray], start: np.ndarray | None = None) -> np.ndarray:
        """Return e(s) of the next observation of an episode: float32 [L].

        start: The first image of the episode, by which another episode is known, in which the object was put elsewhere;
            None: it was not.
        """
        if start is not None and start is not self._start:
            self._memory.forget()
            self._start = start
        latent, sure = self._look(observation)
        self._sure.append(sure)
        return self._memory.fill(latent, sure)

    def _look(self, observation: dict[str, np.ndarray]) -> tuple[np.ndarray, bool]:
        if not self._representation.found:
            return np.zeros(self._representation.size, np.float32), True
        state, image = observation["observation"].astype(np.float32)[None], observation["image"][None]
        latents, sure = self._representation.look(Frames(image, state, image))
        return latents[0], bool(sure[0])
