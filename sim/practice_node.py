"""Lets the simulated robot practise by itself, then shows it goal images and measures how well it reaches them."""

from __future__ import annotations

import time

from diagnostic_msgs.msg import DiagnosticStatus
from std_srvs.srv import SetBool, Trigger

from rig_robot.common.message_fields import values
from rig_robot.common.modes import Mode
from rig_robot.ros.node_process import run
from rig_robot.ros.qos import EPISODES, LATCHED
from rig_sim.goals_node import GoalsNode
from rig_sim.procedure import Procedure

TRAINED_TIMEOUT = 600.0
"""Time within which the trainer must have learned from all practised steps [s]."""
SETTLED = 5.0
"""Time until the trainer's progress reflects an episode or a request [s]."""
AGAIN = 5.0
"""Time between two checks whether arm and policy still practise: either may have been restarted [s]."""


TELL_EVERY = 15.0
"""Time between two lines that say how far practice is [s]"""
WIDTH = 20
"""Characters of the bar in them"""


class PracticeNode(GoalsNode):
    """Arms the arm, lets the policy practise a number of steps, then shows goals as `GoalsNode` does."""

    def __init__(self) -> None:
        super().__init__("sim_practice")
        self._limit = self.declare(
            "steps", 0, "Robot steps before practice ends and goals are shown; 0: no end.", low=0, high=100_000_000
        )
        self._done = self._running = 0
        self._counted: set[str] = set()
        self._behind = self._unseen = self._practising = False
        self._trainer = ""
        self._began = time.monotonic()
        self.subscribe(DiagnosticStatus, "rig/episode", self._take_episode, EPISODES)
        self.subscribe(DiagnosticStatus, "rig/trainer/progress", self._take_progress, LATCHED)
        self._train = self.create_client(SetBool, "trainer/train")
        self._learn = self.create_client(Trigger, "trainer/fine_tune")
        self.every(TELL_EVERY, self._tell)

    def _procedure(self) -> Procedure[None]:
        yield from self._wait_for(lambda: self._tool is not None, "the simulation's tool pose")
        self._practising, self._began = True, time.monotonic()
        while not self._limit or self._done < self._limit:
            yield from self._make_ready(Mode.PRACTICE)
            again = time.monotonic() + AGAIN
            yield lambda again=again: self._over() or time.monotonic() > again  # type: ignore[misc]
        self._practising = False
        yield from self._make_ready(Mode.IDLE)
        print(f"practised for {self._done} robot steps; the trainer finishes", flush=True)
        yield from self._caught_up()
        if self._unseen:  # the trainer waits for more exploration, which will not come
            yield from self._call(self._learn, Trigger.Request())
            yield from self._caught_up()
        yield from self._call(self._train, SetBool.Request(data=False))
        yield from super()._procedure()

    def _caught_up(self) -> Procedure[None]:
        """Wait until the trainer has learned from all recorded episodes."""
        settled = time.monotonic() + SETTLED
        yield lambda: time.monotonic() > settled  # until the trainer has found the last episode on disk
        end = time.monotonic() + TRAINED_TIMEOUT
        yield lambda: not self._behind or time.monotonic() > end

    def further_figures(self) -> dict[str, float | int]:
        """Return how many steps the robot practised."""
        return {"robot_steps": self._done}

    def _over(self) -> bool:
        return bool(self._limit) and self._done >= self._limit

    def _tell(self) -> None:
        """Say how far practice is and what the trainer does."""
        if self._practising:
            told = progress_line(self._done, self._limit, time.monotonic() - self._began)
            print(f"{told}; trainer: {self._trainer or 'not heard yet'}", flush=True)

    def _take_episode(self, message: DiagnosticStatus) -> None:
        said = values(message)
        practised = said.get("event") == "end" and said.get("mode") in (Mode.EXPLORE, Mode.PRACTICE)
        if practised and said.get("id") not in self._counted and said.get("steps", "").isdecimal():
            self._counted.add(said.get("id", ""))
            self._done += int(said["steps"])

    def _take_progress(self, message: DiagnosticStatus) -> None:
        said = values(message)
        phase = said.get("phase", "")
        self._behind = phase != "waiting"
        self._unseen = said.get("explore") == "wanted"
        steps = f" {said.get('step', '')} of {said['of']}" if said.get("of", "0") != "0" else ""
        self._trainer = message.message if phase == "waiting" else f"{phase}{steps}"


def progress_line(done: int, limit: int, seconds: float) -> str:
    """Return how far a practice is, for people.

    Args:
        done: Robot steps practised.
        limit: Of how many; 0: without end.
        seconds: Time that they took [s].
    """
    if not limit:
        return f"{done} robot steps practised in {seconds / 60:.0f} min"
    share = min(1.0, done / limit)
    bar = "#" * round(WIDTH * share) + "." * (WIDTH - round(WIDTH * share))
    left = f", about {seconds / share * (1 - share) / 60:.0f} min left" if share > 0.02 else ""
    return f"[{bar}] {done} of {limit} robot steps{left}"


def main() -> None:
    run(PracticeNode)


if __name__ == "__main__":
    main()
