"""Practice of pushing: what the trainer learns from episodes.

What would be broken: a practice that never finds its way from exploring to pushing, publishes a policy that has learned
nothing, or loses what it learned when it is killed.
"""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from untrained_to_push import ACTION, CAMERA, CENTRE, TINY, WORKSPACE, learn_in_small_batches, untrained

from rig_robot.bringup.node_spec import BringupError
from rig_robot.bringup.options import SHIPPED_CHECKPOINT, SHIPPED_PUSHING, RobotOptions, SimOptions
from rig_robot.bringup.systems import prepare_practice, robot, simulation
from rig_robot.checkpoints.checkpoint import activate, read_config, resolve
from rig_robot.common.package_files import locate, share
from rig_robot.inference.numpy_networks import Encoder, Policy
from rig_robot.learning.checkpoint_io import restore
from rig_robot.learning.checkpoint_io.untrained import create_to_push
from rig_robot.learning.practice import push_judgement as judgement
from rig_robot.learning.practice.phases import Exploration, Phase
from rig_robot.learning.practice.push_practice import PushPractice
from rig_robot.learning.practice.settings import Settings
from rig_robot.learning.push_arguments import PushArgs
from rig_robot.learning.representations.objects import ObjectLatent
from rig_robot.learning.rl.replay_buffer import ReplayBuffer
from rig_robot.recording.transitions import Segment

pytestmark = pytest.mark.slow
SETTINGS = Settings(exploration_steps=100, updates=1, fine_tune_every=2, capacity=4000)
EPISODE = 30


def episode(seed: int) -> Segment:
    """A grey table with a bright block where the tool is, and another block that stands."""
    rng = np.random.default_rng(seed)
    tool, images, actions, positions = rng.uniform(-8, 8, 2), [], [], []
    for _ in range(EPISODE):
        image = np.full((48, 48, 3), 90, np.uint8)
        for (x, y), colour in ((tool, (250, 200, 40)), ((3.0, 3.0), (30, 60, 220))):
            row, column = round(20 + 2 * x), round(20 + 1.5 * y)
            image[max(0, row) : row + 6, max(0, column) : column + 6] = colour
        images.append(image)
        positions.append([*(CENTRE + 0.02 * tool), 0.22])
        actions.append(rng.uniform(-1, 1, 2))
        tool = np.clip(tool + actions[-1], (-9, -12), (9, 12))
    return Segment(
        np.stack(images),
        np.array(actions[:-1], np.float32),
        np.array(positions, np.float32),
        np.arange(EPISODE, dtype=np.int64),
        None,
    )


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    learn_in_small_batches(monkeypatch)


@pytest.fixture
def finds_an_object(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have an object be chosen that was hardly looked for: to find one takes minutes (`test_object_choice.py` does)."""

    def choose(self: ObjectLatent, replay: ReplayBuffer) -> dict[int, float]:
        self.controllable.finish(replay)
        self.chosen.fill_(1)
        self.matrix[1, 0] = self.matrix[2, 1] = 5.0
        self.back[1, 0] = self.back[2, 1] = 0.1
        return {}

    monkeypatch.setattr(ObjectLatent, "choose", choose)


def begin(tmp_path: Path, settings: Settings = SETTINGS) -> tuple[PushPractice, list[str]]:
    """A practice from nothing, or one that goes on; and what it says."""
    root, said = tmp_path / "checkpoints", list[str]()
    if not root.exists():
        activate(untrained(root))
    return PushPractice(tmp_path / "trainer", root, settings, said.append), said


def record(practice: PushPractice, count: int, explored: bool) -> None:
    for _ in range(count):
        seed = len(practice.taken)
        practice.take(f"{seed:03d}", [episode(seed)], explored)


def work(practice: PushPractice, until: Callable[[], bool] = lambda: False) -> list[Phase]:
    """Do all that is due, the robot taking each checkpoint; return the phases in their order."""
    phases: list[Phase] = []
    while not until() and (practice.due() or practice.candidate is not None):
        if practice.notes.phase not in phases[-1:]:
            phases.append(practice.notes.phase)
        if practice.candidate is not None:
            activate(practice.candidate)
            practice.settle(True)
        else:
            practice.work_once()
    return phases


def begin_seeing(tmp_path: Path) -> PushPractice:
    """A practice that has found an object, and whose motions aimed at it are recorded."""
    practice, _ = begin(tmp_path)
    record(practice, 4, explored=True)
    work(practice)
    record(practice, 2, explored=True)
    return practice


def test_an_untrained_checkpoint_that_pushes_runs_and_says_that_it_knows_nothing(tmp_path: Path) -> None:
    directory = untrained(tmp_path)
    config = read_config(directory)
    assert config.vae.objects == 1 and not config.trained and not config.acts
    mean, log_variance = Encoder(directory).encode(np.full((48, 48, 3), 90, np.uint8))
    assert np.isfinite(mean).all() and np.isfinite(log_variance).all() and mean.shape == (4,)
    goal = Encoder(directory).imagine(np.random.default_rng(0))
    assert np.isfinite(Policy(directory).act(mean, goal)).all()
    assert untrained(tmp_path) == directory, "a second call leaves it as it is"
    with pytest.raises(ValueError, match="image_size is 64, expected 48"):
        create_to_push(tmp_path / "other", CAMERA, ACTION, WORKSPACE, PushArgs(out=tmp_path, image_size=64))
    assert restore.push_arguments(config, tmp_path).slots == TINY["slots"]


def test_a_practice_explores_seeks_contact_and_pushes_and_each_checkpoint_says_what_it_can(
    tmp_path: Path, finds_an_object: None
) -> None:
    practice, said = begin(tmp_path)
    record(practice, 3, explored=True)
    assert practice.progress().explore is Exploration.WANTED and not practice.due()
    record(practice, 1, explored=True)
    assert practice.progress().explore is Exploration.ENOUGH and practice.progress().phase is Phase.GATHER

    assert work(practice) == [Phase.GATHER, Phase.SEE, Phase.ANNOUNCE]
    eyes = read_config(resolve(practice.root))
    assert eyes.trained and not eyes.acts and eyes.parent == "untrained" and eyes.training["samples"] == 4 * EPISODE
    assert "does not push yet" in said[-1]
    assert practice.progress().explore is Exploration.WANTED, "now with motions at the object"

    record(practice, 2, explored=True)
    phases = work(practice)
    assert phases == [Phase.GATHER, Phase.SEE, Phase.MODEL, Phase.REHEARSE, Phase.JUDGE, Phase.ANNOUNCE]
    pushes = read_config(resolve(practice.root))
    assert pushes.acts and pushes.vae_id != eyes.vae_id and pushes.figures["imagined_mm"] > 0
    assert practice.progress().explore is Exploration.ENOUGH and practice.notes.phase is Phase.PRACTISE

    model = [weight.clone() for weight in practice.state.learner.dynamics.weights]
    record(practice, 1, explored=False)
    assert practice.notes.owed == EPISODE - 1 and work(practice) == [Phase.PRACTISE]
    assert any((old != new).any() for old, new in zip(model, practice.state.learner.dynamics.weights, strict=True))
    record(practice, 1, explored=False)
    assert Phase.JUDGE in work(practice), "after two episodes of practice a candidate is judged"
    assert practice.notes.steps == 8 * EPISODE and practice.notes.explored == 6 * EPISODE
    later = read_config(resolve(practice.root))
    assert later.vae_id == pushes.vae_id and later.training["step"] == 2 * EPISODE, "practice: the policy alone"
    assert "imagined_before_mm" in later.figures, "it was compared with the policy that the robot had"

    assert practice.fine_tune() == "learns to see again"
    assert work(practice)[:2] == [Phase.SEE, Phase.MODEL]
    assert read_config(resolve(practice.root)).vae_id != pushes.vae_id
    practice.close()


def test_a_robot_that_is_faster_than_its_trainer_does_not_keep_it_from_learning(
    tmp_path: Path, finds_an_object: None
) -> None:
    practice = begin_seeing(tmp_path)
    work(practice)
    learned = []
    for _ in range(3):
        record(practice, SETTINGS.fine_tune_every + 1, explored=False)  # while the policy before it is judged
        work(practice, lambda: practice.notes.phase is Phase.PRACTISE)
        work(practice, lambda: practice.notes.phase is Phase.JUDGE)
        learned.append(practice.notes.updates)
    assert (np.diff([0, *learned]) >= SETTINGS.fine_tune_every * (EPISODE - 1)).all(), learned
    practice.give_up()
    record(practice, SETTINGS.fine_tune_every, explored=False)
    practice.give_up()
    assert practice.judgement_due(), "what was given up need not be learned first"


def test_a_killed_practice_goes_on_with_the_same_unit_and_does_it_the_same_way(
    tmp_path: Path, finds_an_object: None
) -> None:
    practice = begin_seeing(tmp_path)
    work(practice, lambda: practice.notes.phase is Phase.REHEARSE)
    shutil.copytree(tmp_path, tmp_path.with_name("copy"))
    practice.work_once()
    again, _ = begin(tmp_path.with_name("copy"))
    assert again.notes.phase is Phase.REHEARSE and again.taken == practice.taken
    again.work_once()
    for name, tensor in practice.state.learner.agent.state_dict().items():
        assert (tensor == again.state.learner.agent.state_dict()[name]).all(), name


def test_without_an_object_in_the_pictures_it_explores_more_and_says_so(tmp_path: Path) -> None:
    practice, said = begin(tmp_path)
    record(practice, 4, explored=True)
    assert work(practice) == [Phase.GATHER, Phase.SEE]
    assert f"nothing in {4 * EPISODE} pictures moves where the tool pushes it: exploring up to 180 steps" in said[-1]
    assert practice.progress().explore is Exploration.WANTED and practice.current() == "untrained"
    assert practice.state.learner.replay.size == 4 * EPISODE, "nothing that was recorded is forgotten"


def test_a_checkpoint_that_the_robot_refuses_leaves_the_old_one(tmp_path: Path, finds_an_object: None) -> None:
    practice, said = begin(tmp_path)
    record(practice, 4, explored=True)
    work(practice, lambda: practice.candidate is not None)
    practice.settle(False, "a test says no")
    assert "a test says no" in said[-1] and practice.notes.present == "untrained"
    assert practice.progress().explore is Exploration.WANTED, "the exploration goes on, by straight motions"


def test_a_practice_that_begins_with_a_checkpoint_seeks_contact_from_the_first_step(tmp_path: Path) -> None:
    root = tmp_path / "checkpoints"
    shutil.copytree(locate(SHIPPED_PUSHING), root / "sawyer_push")
    activate(root / "sawyer_push")
    practice, _ = begin(tmp_path)
    assert practice.progress().explore is Exploration.WANTED and practice.notes.seen == 1
    assert practice.notes.figures["mean_mm"] == read_config(root).figures["mean_mm"], "a candidate must come near that"
    with pytest.raises(ValueError, match="was trained to reach, expected one to push"):
        restore.push_arguments(read_config(locate(SHIPPED_CHECKPOINT)), tmp_path, "sawyer_reach_xy")


def test_a_policy_that_pushes_worse_or_is_broken_is_not_published(tmp_path: Path, finds_an_object: None) -> None:
    best = {"mean_mm": 20.0}
    for mean, accepted in ((10.0, True), (24.9, True), (25.1, False)):
        assert judgement.check_pushing(best, {"mean_mm": mean, "goals": 30}).accepted == accepted
    assert judgement.check_pushing({}, {"mean_mm": 300.0, "goals": 30}).accepted, "the first one"
    practice, said = begin(tmp_path)
    record(practice, 4, explored=True)
    work(practice)
    record(practice, 2, explored=True)
    work(practice, lambda: practice.notes.phase is Phase.JUDGE)
    practice.state.learner.agent.actor.layers[0].weight.data[0, 0] = float("nan")
    before = practice.current()
    practice.work_once()
    assert "is not finite" in said[-1] and practice.candidate is None and practice.current() == before


# --- what is asked for


def test_a_practice_of_pushing_has_its_own_nodes_camera_and_defaults(tmp_path: Path) -> None:
    options = SimOptions(practice=True, task="push", data=tmp_path / "data", goals=3, steps=100)
    prepare_practice(options)
    config = read_config(tmp_path / "data" / "checkpoints")
    assert config.vae.objects == 1 and not config.trained and config.workspace == WORKSPACE
    for given in (options, dataclasses.replace(options, task="reach")):  # what was begun goes on
        nodes = {node.name: node for node in simulation(given)}
        assert nodes["sim_practice"].module == "rig_sim.push_practice_node"
        assert nodes["sim"].parameters["task"] == "push" and nodes["sim"].parameters["put_back_after"] > 0
        trainer = nodes["trainer"].parameters
        assert trainer["environment"] == "rig_sim:RigSawyerPushXY-v0" and trainer["exploration_steps"] == 2500
        assert nodes["policy"].parameters["epsilon"] == 0.03
    more = tmp_path / "more.yaml"
    more.write_text("trainer: {exploration_steps: 700}")
    nodes = {node.name: node for node in simulation(dataclasses.replace(options, params_file=more))}
    assert nodes["trainer"].parameters["exploration_steps"] == 700, "what a configuration says counts"


def test_mixtures_of_reaching_and_pushing_are_refused_before_anything_is_made(tmp_path: Path) -> None:
    mixed = SimOptions(SHIPPED_CHECKPOINT, practice=True, task="push", data=tmp_path / "mixed")
    with pytest.raises(BringupError, match="was trained to reach, and task is push: name one that pushes"):
        prepare_practice(mixed)
    assert not (tmp_path / "mixed").exists()
    reaches = SimOptions(practice=True, data=tmp_path / "reaches")
    prepare_practice(reaches)
    prepare_practice(dataclasses.replace(reaches, task="push"))
    with pytest.raises(BringupError, match="was trained to reach, and task is push"):
        simulation(dataclasses.replace(reaches, task="push"))
    with pytest.raises(BringupError, match="axes is xyz: pushing moves along xy"):
        prepare_practice(SimOptions(practice=True, task="push", axes="xyz", data=tmp_path / "space"))
    file = tmp_path / "my.yaml"
    file.write_text("arm: {preset: sawyer}\n")
    with pytest.raises(BringupError, match=r"my\.yaml has no section push\.task: to learn from nothing"):
        prepare_practice(RobotOptions(file, practice=True, task="push", data=tmp_path / "robot"))


def test_a_real_robot_practises_pushing_too(tmp_path: Path) -> None:
    text = share("config", "sim.yaml").read_text()
    task = text[text.index("  task:") : text.index("# The task of a robot")]
    file = tmp_path / "my.yaml"
    file.write_text(
        "arm: {preset: sawyer, workspace_low: [0.4, -0.3, 0.2], workspace_high: [0.8, 0.3, 0.3]}\npush:\n" + task
    )
    options = RobotOptions(file, practice=True, task="push", data=tmp_path / "data")
    prepare_practice(options)
    nodes = {node.name: node.parameters for node in robot(options)}
    assert nodes["trainer"]["fine_tune_every"] == 5 and "environment" not in nodes["trainer"]
    assert nodes["policy"]["episode_steps"] == 100 and read_config(nodes["policy"]["checkpoint"]).vae.objects == 1
