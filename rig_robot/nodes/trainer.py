"""Trainer node: learns from recorded episodes in the background, and announces each checkpoint that has improved.

One thread of the lowest priority does all learning (`Learner`, or `PushPractice` with a checkpoint that pushes); the
executor answers services and publishes progress.
The node shares only directories and topics with the robot: it may run on another machine of the same ROS domain.
"""

import os
import threading
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.parameter import Parameter
from std_srvs.srv import SetBool, Trigger

from rig_robot.checkpoint_delivery.announcer import Announcer
from rig_robot.checkpoint_delivery.answers import Outcome
from rig_robot.checkpoint_delivery.sender import Sender
from rig_robot.checkpoints.checkpoint import activate, read_config
from rig_robot.common.ros_names import check_namespace
from rig_robot.learning.practice.learner import Learner
from rig_robot.learning.practice.phases import Progress
from rig_robot.learning.practice.practice_base import Interrupted, Practice
from rig_robot.learning.practice.push_practice import PushPractice
from rig_robot.learning.practice.settings import Settings
from rig_robot.messages.diagnostics import OK, WARN, diagnostic
from rig_robot.nodes.trainer_episodes import LOOK_S, EpisodeSource
from rig_robot.ros.node import BadParameter, RigNode
from rig_robot.ros.node_process import run
from rig_robot.ros.qos import LATCHED

AGAIN_S = 5.0
"""Time after a failure, a full disk for example, until the learner is started again [s]."""


class TrainerNode(RigNode):
    """Recorded episodes -> checkpoints, `rig/checkpoint`, `rig/trainer/progress`."""

    def __init__(self) -> None:
        super().__init__("trainer")
        string = Parameter.Type.STRING
        root = self.declare("checkpoints", string, "Root of checkpoints with a link `current`: go on there.")
        work = self.declare("work", string, "Directory of the training's state and of TensorBoard's logs.")
        self._root, self._work = Path(root).expanduser(), Path(work).expanduser()
        self._episodes = EpisodeSource(self)
        self._settings = self._declare_settings()
        self._config = read_config(self._root)
        text = "How checkpoints reach the robot: by a path that it sees as well, or by topic, to its receiver node."
        by_topic = self.declare("deliver", "path", text, choices=("path", "topic")) == "topic"
        text = "Namespaces of further robots that practise for this trainer, in the same directories."
        others = ["/" + name.strip("/") for name in self.declare("robots", [""], text) if name.strip("/")]
        for name in others:
            check_namespace(name)
        if by_topic and others:
            raise BadParameter(f"robots is {others}, expected none with deliver topic: they share its directories")
        self._announcer = None if by_topic else Announcer(self, self._root, others)
        self._sender = Sender(self) if by_topic else None

        self._wanted = "train"
        """the newest request of the services: train, pause, or stop (stopped once that is done)"""
        self._asked_to_tune = threading.Event()
        self._wake = threading.Event()
        self._ending = False
        self._asked = ""
        """name of the candidate that was announced and has no answer yet"""
        self._to_announce: str | None = None
        """name of a candidate, handed from the learner's thread to the executor's, which sets the outcome"""
        self._outcome: Outcome | None = None
        self._progress: Progress | None = None
        self._trouble = ""

        places = ["", *(f"{name}/" for name in others)]
        self._progress_topics = [
            self.publisher(DiagnosticStatus, f"{place}rig/trainer/progress", LATCHED) for place in places
        ]
        self.create_service(SetBool, "~/train", self._on_train)
        self.create_service(Trigger, "~/stop", self._on_stop)
        self.create_service(Trigger, "~/fine_tune", self._on_fine_tune)
        self.every(0.5, self._publish_progress)
        self._worker = threading.Thread(target=self._work_in_background, name="learner", daemon=True)
        self._worker.start()

    def _declare_settings(self) -> Settings:
        """Return how the learner learns."""
        text = "Random steps before anything is learned, where there is no trained checkpoint."
        explore = self.declare("exploration_steps", 1500, text, low=100, high=1_000_000)
        text = "Updates of policy and critics per recorded step; pushing: of the model."
        updates = self.declare("updates", 4, text, low=0, high=100)
        every = self.declare("fine_tune_every", 5, "Episodes between candidates; 0: on request.", low=0, high=10_000)
        capacity = self.declare("capacity", 100_000, "Frames to remember, on disk.", low=2_000, high=100_000_000)
        text = "Gymnasium environment (module:name) that checkpoints are judged in; empty: by held-out frames."
        environment = self.declare("environment", "", text)
        scene = self.declare("scene", "plain", "Scene of that environment.")
        goals = self.declare("judge_goals", 30, "Goals that they are judged by there.", low=1, high=1000)
        return Settings(
            exploration_steps=explore,
            updates=updates,
            fine_tune_every=every,
            capacity=capacity,
            environment=environment,
            scene=scene,
            judge_goals=goals,
        )

    # Called by the executor

    def _on_train(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._wanted = "train" if request.data else "pause"
        self._wake.set()
        response.success = True
        response.message = "goes on" if request.data else "pauses after the present unit of work (a second or two)"
        return response

    def _on_stop(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._wanted = "stop"
        self._wake.set()
        response.success = True
        response.message = "gives up what it is doing and keeps what was learned before it; train goes on"
        return response

    def _on_fine_tune(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._asked_to_tune.set()
        self._wake.set()
        response.success, response.message = True, "asked for; rig/trainer/progress says what comes of it"
        return response

    def _publish_progress(self) -> None:
        """Publish the progress, and announce a candidate that waits for that."""
        name, self._to_announce = self._to_announce, None
        if name is not None:
            try:
                self._deliver(self._root / name)
            except (ValueError, OSError) as error:
                self._on_outcome(Outcome(False, str(error)))
        progress = self._progress
        if progress is None:
            return
        values = {
            "phase": self._phase(progress),
            "step": progress.step,
            "of": progress.of,
            "eta_s": f"{progress.eta_s:.0f}",
            "steps": progress.steps,
            "episodes": progress.episodes,
            "checkpoint": progress.checkpoint,
            "explore": progress.explore,
            **{name: f"{value:.4g}" for name, value in progress.losses.items()},
        }
        level = WARN if self._trouble else OK
        for topic in self._progress_topics:
            topic.publish(diagnostic("trainer", level, self._trouble or progress.text, values))

    def _deliver(self, directory: Path) -> None:
        if self._announcer is not None:
            self._announcer.announce(directory.name, self._on_outcome)
        if self._sender is not None:

            def sent(outcome: Outcome) -> None:
                if outcome.accepted:
                    activate(directory)  # here as on the robot
                self._on_outcome(outcome)

            self._sender.send(directory, sent)

    def _phase(self, progress: Progress) -> str:
        return {"pause": "paused", "stop": "stopped", "stopped": "stopped"}.get(self._wanted, progress.phase)

    def _on_outcome(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self._wake.set()

    def stop(self) -> None:
        """Wait for the end of the present unit of work, which is short."""
        self._ending = True
        self._wake.set()
        self._worker.join(10)

    def health(self) -> tuple[bytes, str, dict[str, object]]:
        """Return what the learner does, or what keeps it from learning."""
        if self._progress is None:
            return OK, self._trouble or "starts", {}
        values: dict[str, object] = {
            "phase": self._phase(self._progress),
            "checkpoint": self._progress.checkpoint,
            "episodes": self._progress.episodes,
            "robot steps": self._progress.steps,
        }
        if self._trouble:
            return WARN, self._trouble, values
        return OK, f"{values['phase']}: {self._progress.text}", values

    # Called in the learner's thread

    def _work_in_background(self) -> None:
        take_lowest_priority()
        learning = PushPractice if self._config.vae.objects else Learner
        learner: Practice | None = None
        while not self._ending:
            try:
                if learner is None:
                    learner = learning(self._work, self._root, self._settings, self._say)
                    learner.interrupt = lambda: self._ending or self._wanted != "train"
                    self._episodes.give_earlier(learner, self._config)
                self._turn(learner)
                self._trouble = ""
            except Interrupted:
                continue
            except Exception as error:  # a full disk, a missing directory: logged, and retried from the saved state
                self._trouble = f"{type(error).__name__}: {error}"
                self.get_logger().error(f"{self._trouble}; trying again in {AGAIN_S:g} s")
                learner = None
                self._asked = ""
                self._wake.wait(AGAIN_S)
                self._wake.clear()
        if learner is not None:
            learner.close()

    def _say(self, text: str) -> None:
        self.get_logger().info(text)

    def _turn(self, learner: Practice) -> None:
        """Take a new episode or an answer, do one unit of work, or wait for any of them."""
        new = self._episodes.give_next(learner, self._config)
        worked = False
        if self._asked_to_tune.is_set():
            self._asked_to_tune.clear()
            self.get_logger().info(f"asked to fine-tune: {learner.fine_tune()}")
        candidate = learner.candidate
        if candidate is not None and self._outcome is not None:
            learner.settle(self._outcome.accepted, self._outcome.text)
            self._outcome, self._asked = None, ""
        elif candidate is not None and self._asked != candidate.name:
            self._asked = self._to_announce = candidate.name
        if self._wanted == "stop":
            self._wanted = "stopped"
            self.get_logger().info(f"stopped: {learner.give_up()} is given up")
        if self._wanted == "train" and not new:  # first all new episodes: learning takes longer than reading
            worked = learner.work_once()
        self._progress = learner.progress()
        if not worked and not new:
            self._wake.wait(LOOK_S)
            self._wake.clear()


def take_lowest_priority() -> None:
    """Let this thread run only on idle processors: the robot's control comes first."""
    try:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    except OSError:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)


def main() -> None:
    run(TrainerNode)


if __name__ == "__main__":
    main()
