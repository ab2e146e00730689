"""Bit flipping, the environment that shows what hindsight is for (HER; Andrychowicz et al. 2017, section 3.1).

State and goal are n bits; action i flips bit i; the reward is -1 until they are equal. With n = 40 the goal is
never reached by chance, so every reward is the same and teaches nothing.
"""

import numpy as np


def reward(achieved: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """Return r = -[s' != g] of bits [..., n] each: float32 [...], 0 or -1."""
    return -(achieved != goal).any(axis=-1).astype(np.float32)


class BitFlipping:
    """Many games at once, each with its own goal; the interface is gymnasium's, for a whole array of games.

    A game is over when its goal is reached (terminated) or after n steps (truncated); from then on it does not change.
    """

    def __init__(self, bits: int, games: int) -> None:
        if bits < 1 or games < 1:
            raise ValueError(f"bits is {bits} and games is {games}, expected at least 1 each")
        self.bits, self.games = bits, games

    def reset(self, seed: int | np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Begin all games; return states and goals, uniform and independent: bits as float32 [games, n] each."""
        rng = np.random.default_rng(seed)
        self.state, self.goal = rng.integers(2, size=(2, self.games, self.bits)).astype(np.float32)
        self.steps = 0
        self.over = reward(self.state, self.goal) == 0
        return self.state.copy(), self.goal.copy()

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Flip bit `actions` (int [games]); return states [games, n], rewards, terminated and truncated [games]."""
        playing = np.flatnonzero(~self.over)
        flipped = playing, actions[playing]
        self.state[flipped] = 1 - self.state[flipped]
        self.steps += 1
        rewards = reward(self.state, self.goal)
        terminated = rewards == 0
        truncated = ~terminated & (self.steps >= self.bits)
        self.over = terminated | truncated
        return self.state.copy(), rewards, terminated, truncated
