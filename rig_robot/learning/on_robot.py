"""Learning on the robot: RIG (Algorithm 1) on episodes as they are recorded, in units of work of a second or two.

A robot that knows nothing explores until there is enough to see (lines 1 and 2); from then on every recorded step of
practice is followed by updates of policy and critics (lines 10 to 14), and every few episodes the VAE is fine-tuned,
everything is encoded anew (line 16), and the pair is refitted, judged, and written as a checkpoint. Acting is not done
here: who practises and who records are other processes.

After each unit the state on disk is replaced by rename. What is killed goes on from there.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import safetensors
import torch
from torch.utils.tensorboard import SummaryWriter

from rig_robot.learning import checkpoint, export, restore
from rig_robot.learning.checkpoint import CURRENT, CheckpointConfig
from rig_robot.learning.experience import Shelf
from rig_robot.learning.jury import Arena, Jury
from rig_robot.learning.relabeling import Prior
from rig_robot.learning.replay_buffer import ReplayBuffer
from rig_robot.learning.representations import UNIT, Latent, Log
from rig_robot.learning.rig import REHEARSAL_UNIT, Rig
from rig_robot.learning.run_state import (
    STATE_FILE,
    fill_replay,
    load_learnt,
    load_notes,
    load_state,
    replay_arrays,
    save_state,
)
from rig_robot.recording.segments import Segment

BEFORE_FILE = "before.safetensors"
"""The state from before the present attempt at something better, to go back to"""
LOGS = "tensorboard"
HELD_OUT_EVERY, HELD_OUT = 10, 2
"""Of every ten episodes, the third is held out: also the first few shall have one."""
ENCODE_UNIT, ENCODE_BATCH = 4000, 500
"""frames in a unit of work, and at once"""
TUNE_UNIT = 10
"""VAE updates"""
PATIENCE = 4
"""units without a better held-out loss after which fine-tuning stops"""
KNOWN_IMAGES = 100
"""of a new episode, by which it is told whether the VAE knows the view"""
PLANNED_STEPS = 3_500
"""Steps of practice over which the learning rates fall."""

GATHER, SEE, ENCODE, REHEARSE, PRACTISE, TUNE, REFIT, JUDGE, ANNOUNCE = (
    "gathering",
    "learning to see",
    "encoding",
    "rehearsing",
    "practising",
    "fine-tuning",
    "refitting",
    "judging",
    "announcing",
)
WAITING = "waiting"


class Interrupted(Exception):
    """A unit of work was broken off, since somebody wants to pause or stop; nothing of it counts."""


@dataclass(frozen=True)
class Settings:
    """How to learn. How the networks are made and trained is the checkpoint's to say, in its `training`."""

    exploration_steps: int = 1_500
    """Random steps before anything is learned, where there is no trained checkpoint."""
    updates: int = 4
    """Updates of policy and critics for each recorded step."""
    fine_tune_every: int = 5
    """Episodes between two fine-tunings of the VAE."""
    tune_updates: int = 400
    """VAE updates per fine-tuning at most: it ends when held-out images gain no more."""
    refit_updates: int = 600
    """Updates of policy and critics on the latents of the fine-tuned VAE, before the pair is judged."""
    relearn_steps: int = 850
    """Random steps in a view that the trained VAE does not know, before it learns to see again."""
    relearn_updates: int = 2_000
    """VAE updates of that."""
    capacity: int = 100_000
    """Frames to remember."""
    environment: str = ""
    """Gymnasium environment to judge a pair in by reaching (module:name); empty: by held-out frames."""
    scene: str = "plain"
    """Scene of that environment."""
    judge_goals: int = 30
    """Goals of that."""


@dataclass(frozen=True)
class Progress:
    """What is being done."""

    phase: str
    step: int
    of: int
    losses: Log
    eta_s: float
    """until the end of the phase, by the time that its units have taken"""
    steps: int
    """recorded robot steps seen"""
    episodes: int
    """episodes taken"""
    checkpoint: str
    """the present one"""
    explore: str
    """whether the robot shall go on exploring before anything is learned: wanted or enough"""
    text: str
    """the last thing worth saying, a sentence"""


class Learner:
    """Everything that is learned on the robot, and where it is kept.

    Not thread-safe: one thread calls.
    """

    def __init__(self, work: Path, root: Path, settings: Settings, say: Callable[[str], None] = print) -> None:
        """work: directory of the state; root: of checkpoints, with a link `current` to the one to begin with.

        A state that cannot be read is set aside, and all begins anew from the recorded episodes.

        Raises:
            CheckpointError: If there is no usable current checkpoint.
        """
        self.work, self.root, self.settings, self.say = work, root, settings, say
        self.interrupt: Callable[[], bool] = lambda: False
        """asked between the steps of a long unit of work; True: break it off (`Interrupted`)"""
        self.text = ""
        self._log: Log = {}
        self._unit_s = 0.0
        self._arena: Arena | None = None
        self.best: dict[str, np.ndarray] = {}
        """weights of the VAE at the best held-out loss of the present fine-tuning"""
        self.others: np.ndarray | None = None
        """uint8 [N, S, S, 3], pictures of elsewhere that the VAE is shown as well; whoever has some sets it"""
        torch.set_num_threads(1)
        work.mkdir(parents=True, exist_ok=True)
        try:
            self._resume()
        except (safetensors.SafetensorError, OSError, KeyError, ValueError, RuntimeError) as error:
            broken = work / f"{STATE_FILE}.broken"
            (work / STATE_FILE).replace(broken)
            self._tell(f"the training state cannot be read and is set aside as {broken.name} ({error})")
            self._begin()
        self.writer = SummaryWriter(work / LOGS)
        if self.candidate is not None and self._current() == self.candidate.name:
            self.settle(True)  # killed in between
        elif self.candidate is not None and not self.candidate.exists():
            self.settle(False, "it is gone")

    # --- the state

    def _begin(self) -> None:
        """From the current checkpoint, with nothing seen yet."""
        directory = checkpoint.resolve(self.root)
        config = checkpoint.read_config(directory)
        trained = config.trained
        self.notes: dict[str, Any] = {
            "phase": PRACTISE if trained else GATHER,
            "step": 0,
            "after": "",
            "present": directory.name,
            "figures": {},
            "found": {},
            "verdict": "",
            "candidate": "",
            "taken": [],
            "used": 0,
            "steps": 0,
            "explored": 0,
            "wanted": self.settings.exploration_steps,
            "relearning": False,
            "knows": None,
            "unknown": 0,
            "owed": 0,
            "since_tuned": 0,
            "updates": 0,
            "tunings": 0,
            "attempts": 0,
            "best_loss": 0.0,
            "best_step": 0,
            "generations": [0, 0],
            "training": {name: value for name, value in config.training.items() if name != "out"},
        }
        self._make(config)
        restore.load(directory, config, self.rig)
        self._save()

    def _resume(self) -> None:
        """From the saved state; from the beginning where there is none."""
        notes = load_notes(self.work)
        if notes is None:
            self._begin()
            return
        self.notes = notes
        self._make(checkpoint.read_config(self.root))
        saved = load_state(self.work, self.rig)
        fill_replay(self.held_out.replay, "held_out", saved)
        self.best = {name.removeprefix("best."): saved[name] for name in saved if name.startswith("best.")}

    def _make(self, config: CheckpointConfig) -> None:
        """Networks and room for what is recorded; what fills them comes next."""
        self.config = config
        settings, notes = self.settings, self.notes
        named = dataclasses.replace(config, training=notes["training"])
        args = restore.arguments(named, self.work)
        # Schedules are for a run of known length. Goals that were practised are not kept: their share, usually none,
        # goes to frames from everywhere.
        self.args = dataclasses.replace(
            args,
            updates=settings.updates,
            online_steps=PLANNED_STEPS,
            keep_exploration=True,
            warm_up=0,
            replayed=1 - args.future - args.imagined,
            seed=args.seed + notes["attempts"],
        )
        actions, size = len(config.action.axes), args.image_size
        shape = (settings.capacity, size, size, 3)
        held_out_shape = (max(shape[0] // HELD_OUT_EVERY, 1), *shape[1:])
        generation, held_out_generation = notes["generations"]
        self.experience = Shelf(self.work, "frames", generation, shape)
        self.held_out = Shelf(self.work, "held_out", held_out_generation, held_out_shape)
        self.rig = Rig(self.args, actions, 1, self.experience.images)
        self.experience.hold(self.rig.replay)
        self.held_out.hold(ReplayBuffer(held_out_shape[0], args.latent_size, actions, self.held_out.images))
        assert isinstance(self.rig.representation, Latent)  # `restore.arguments` has seen to it
        self.vae = self.rig.representation
        self.best = {}
        if settings.environment and self._arena is None:
            self._arena = Arena(settings.environment, settings.scene, settings.judge_goals, args)
        self.jury = Jury(self.root, config, self.rig, self.held_out.replay, self._arena)

    def _save(self) -> None:
        self.notes["generations"] = [self.experience.generation, self.held_out.generation]
        more = replay_arrays(self.held_out.replay, "held_out")
        save_state(self.work, self.rig, self.notes, more | {f"best.{name}": array for name, array in self.best.items()})
        self.experience.sweep()
        self.held_out.sweep()

    # --- what comes from outside

    @property
    def taken(self) -> set[str]:
        """Names of all episodes that need not be read again, those of no use among them."""
        return set(self.notes["taken"])

    def take(self, name: str, segments: Sequence[Segment], explored: bool) -> None:
        """Take in a recorded episode; explored: its actions were random. Every tenth is held out."""
        notes, rig, replay = self.notes, self.rig, self.rig.replay
        frames = sum(len(segment.images) for segment in segments)
        held_out = notes["used"] % HELD_OUT_EVERY == HELD_OUT
        size, episodes = replay.size, len(replay.first)
        try:
            if held_out:
                self.held_out.add(segments)
            elif frames:
                rig.explored = self.experience.add(segments, rig.explored)
        except ValueError as error:
            self.refuse(name, str(error))
            return
        notes["taken"].append(name)
        notes["used"] += bool(frames)
        known = True
        if frames and notes["phase"] == PRACTISE:
            known = self.jury.knows(np.concatenate([segment.images for segment in segments])[:KNOWN_IMAGES])
            notes["unknown"] = 0 if known else notes["unknown"] + 1
            # One picture of something else is chance; but a checkpoint from elsewhere may not know the place at all.
            if notes["unknown"] >= {None: 1, True: 2, False: 10**9}[notes["knows"]]:
                self._look_around()
            elif known:
                notes["knows"] = True
            known = known or notes["knows"] is False
        if frames and not held_out:
            if notes["phase"] in (GATHER, SEE):
                if explored and rig.explored == episodes:
                    rig.explored = len(replay.first)
            else:
                new = slice(replay.size - frames, replay.size)
                replay.latents[new] = self._encoded(new)
                notes["owed"] += known * self.settings.updates * (frames - len(segments))
            if notes["phase"] == ENCODE and replay.size != size + frames:
                notes["step"] = 0  # some were forgotten: frames have moved up
        notes["steps"] += frames  # each of them was acted on
        notes["explored"] += frames if explored else 0
        if not explored:
            rig.episodes += 1
            notes["since_tuned"] += 1
        self._save()

    def _look_around(self) -> None:
        """The view is not what the VAE has learnt: to explore it, then to learn to see it, with the old networks."""
        notes, settings = self.notes, self.settings
        save_state(self.work, self.rig, notes, name=BEFORE_FILE)
        notes |= {"relearning": True, "wanted": notes["explored"] + settings.relearn_steps, "owed": 0, "since_tuned": 0}
        self._enter(GATHER)
        self._tell(f"this view is not what the VAE knows: {settings.relearn_steps} random steps to learn to see it")

    def recall(self, name: str, segments: Sequence[Segment]) -> None:
        """Take in what was recorded before this training began, as exploration; it must come before what is new."""
        notes, rig, replay = self.notes, self.rig, self.rig.replay
        if rig.explored < len(replay.first):
            self.refuse(name, "earlier data come first, and practice was recorded already")
            return
        try:
            self.experience.add(segments, rig.explored)
        except ValueError as error:
            self.refuse(name, str(error))
            return
        rig.explored = len(replay.first)
        if notes["phase"] == GATHER:
            notes["explored"] += sum(len(segment.images) for segment in segments)
        else:
            new = slice(replay.size - sum(len(segment.images) for segment in segments), replay.size)
            replay.latents[new] = self._encoded(new)
        notes["taken"].append(name)
        self._save()

    def refuse(self, name: str, why: str) -> None:
        """Remember that an episode is of no use."""
        self.notes["taken"].append(name)
        self._tell(f"episode {name} is left out: {why}")
        self._save()

    def fine_tune(self) -> str:
        """Fine-tune as soon as possible, or begin to learn with what there is; returns what will be done."""
        notes = self.notes
        if notes["phase"] == GATHER:
            if len(self.rig.replay) < self.args.batch:
                return f"{len(self.rig.replay)} recorded steps are too few to begin with: {self.args.batch} wanted"
            self._enter(SEE)
            self._save()
            return "begins to learn with what there is"
        if notes["phase"] != PRACTISE:
            return f"{notes['phase']} already"
        if not self._enough():
            return f"{len(self.rig.replay)} recorded steps are too few: {self.args.batch} wanted"
        self._attempt()
        self._save()
        return "fine-tunes"

    def give_up(self) -> str:
        """Give up what is being done; what was learned before it is kept. Returns what was given up."""
        phase = self.notes["phase"]
        if phase in (TUNE, REFIT, JUDGE) or (phase == ENCODE and self.notes["after"] == REFIT):
            if self.jury.trained(self.notes["present"]):
                self._go_back()
        elif phase == PRACTISE:
            self.notes["owed"] = 0
        self._save()
        return phase

    @property
    def candidate(self) -> Path | None:
        """A checkpoint that was written and waits for being announced."""
        name = self.notes["candidate"]
        return self.root / name if name else None

    def settle(self, accepted: bool, why: str = "") -> None:
        """Say what became of the candidate: it is the current checkpoint, or the one before goes on."""
        notes = self.notes
        name, notes["candidate"] = notes["candidate"], ""
        if accepted:
            notes["present"] = name
            # The best so far is what others are measured by: a little worse each time would go far.
            if not notes["figures"] or notes["found"].get("mean_mm", 0) < notes["figures"].get("mean_mm", 0):
                notes["figures"] = notes["found"]
            notes |= {"relearning": False, "knows": self.jury.knows(self.jury.images(KNOWN_IMAGES)), "unknown": 0}
            self._tell(f"checkpoint {name} is current: {notes['verdict']}")
            self._enter(PRACTISE)
        else:
            self._tell(f"checkpoint {name} was refused, {notes['present']} goes on: {why}")
            if self.jury.trained(self.notes["present"]):
                self._go_back()
            else:
                self._enter(PRACTISE)
        self._save()

    def progress(self) -> Progress:
        """What is being done."""
        notes = self.notes
        phase, step, of, text = notes["phase"], notes["step"], self._total(), self.text
        if phase == GATHER:
            step, of = notes["explored"], notes["wanted"]
        if not self.due() and phase != ANNOUNCE:
            text = f"explored {step} of {of} steps" if phase == GATHER else text
            phase = WAITING
        eta = self._unit_s * max(0, of - step)
        explore = "wanted" if notes["phase"] == GATHER and not self.due() else "enough"
        return Progress(
            phase, step, of, self._log, eta, notes["steps"], len(notes["taken"]), notes["present"], explore, text
        )

    # --- units of work

    def due(self) -> bool:
        """Whether there is something to do."""
        phase = self.notes["phase"]
        if phase == GATHER:
            return self._enough() and self.notes["explored"] >= self.notes["wanted"]
        if phase == PRACTISE:
            return self._enough() and (self.notes["owed"] > 0 or self._tuning_due())
        return phase != ANNOUNCE

    def work_once(self) -> bool:
        """Do one unit of work and save the state; False if there is none to do.

        Raises:
            Interrupted: If it was broken off; the same is to be done next time.
        """
        self._follow()
        if not self.due():
            return False
        began, phase, step = time.perf_counter(), self.notes["phase"], self.notes["step"]
        self._UNITS[phase](self)
        self._save()
        done = self.notes["step"] - step
        if self.notes["phase"] != phase:
            self._unit_s = 0.0
        elif done > 0:
            spent = (time.perf_counter() - began) / done
            self._unit_s = 0.8 * self._unit_s + 0.2 * spent if self._unit_s else spent
        return True

    def close(self) -> None:
        """Leave the simulation and the logs."""
        self.writer.close()
        if self._arena is not None:
            self._arena.close()

    def _gather(self) -> None:
        self._tell(f"{self.notes['explored']} steps were explored: learning to see")
        self._enter(SEE)

    def _see(self) -> None:
        """Line 2: train the VAE on D."""
        notes = self.notes
        # What an action does has not changed with the view: latents that move as they did fit the policy best.
        self.vae.trainer.calibrating = not notes["relearning"]
        self.vae.units = self._total()
        log = self.vae.fit(self.rig.replay, notes["step"], self._rng(SEE), self.others)
        notes["step"] += 1
        self._note(log)
        if notes["step"] >= self._total():
            self._enter(ENCODE, after=REHEARSE)

    def _encode(self) -> None:
        """Line 16: no latent outlives the VAE that made it."""
        rig, notes, replay = self.rig, self.notes, self.rig.replay
        chunk = slice(notes["step"], min(notes["step"] + ENCODE_UNIT, replay.size))
        replay.latents[chunk] = self._encoded(chunk)
        notes["step"] = chunk.stop
        if chunk.stop == replay.size:
            if self.args.prior == "fitted":
                rig.prior = Prior.fit(replay.latents[: replay.size])
            self._enter(notes["after"])

    def _rehearse(self) -> None:
        """Lines 10 to 14, on what exploration gave."""
        notes, rig, args = self.notes, self.rig, self.args
        rng, total = self._rng(REHEARSE), REHEARSAL_UNIT * self._total()
        for number in range(REHEARSAL_UNIT):
            rig.td3.set_progress((notes["step"] * REHEARSAL_UNIT + number) / total)
            log = rig.improve(rng, with_actor=number % args.policy_delay == 0)
            notes["updates"] += 1
        notes["step"] += 1
        self._note(log)
        if notes["step"] >= self._total():
            self._enter(JUDGE)

    def _practise(self) -> None:
        """Lines 10 to 14, for what was practised; every few episodes line 16."""
        notes = self.notes
        if self._tuning_due():
            self._attempt()
            return
        rng, count = self._rng(PRACTISE), min(REHEARSAL_UNIT, notes["owed"])
        for _ in range(count):
            log = self.rig.learn(rng, notes["updates"])
            notes["updates"] += 1
        notes["owed"] -= count
        self._note(log)

    def _tune(self) -> None:
        """Fine-tune the VAE until images that it is not trained on gain no more; the best of it is kept."""
        notes, rig = self.notes, self.rig
        if not self.best:
            self._keep_best(self.jury.loss())
        self.vae.trainer.calibrating = True
        log = self.vae.fine_tune(
            rig.replay, rig.explored_frames, self._practised(), self._rng(TUNE), TUNE_UNIT, self.others
        )
        notes["step"] += TUNE_UNIT
        loss = self.jury.loss()
        if not loss >= notes["best_loss"]:  # also where no episode is held out yet
            self._keep_best(loss)
        self._note(log | {"vae/held_out_loss": loss})
        if notes["step"] >= self._total() or notes["step"] - notes["best_step"] >= PATIENCE * TUNE_UNIT:
            with torch.no_grad():
                for name, tensor in self.vae.state_dict().items():
                    tensor.copy_(torch.from_numpy(self.best[name]))
            self.best = {}
            self._enter(ENCODE, after=REFIT)

    def _keep_best(self, loss: float) -> None:
        self.best = {name: tensor.numpy().copy() for name, tensor in self.vae.state_dict().items()}
        self.notes["best_loss"], self.notes["best_step"] = loss, self.notes["step"]

    def _refit(self) -> None:
        """Policy and critics follow the latents, so that the pair fits."""
        notes, rig, total = self.notes, self.rig, self._total()
        rng, count = self._rng(REFIT), min(REHEARSAL_UNIT, total - notes["step"])
        for number in range(count):
            rig.td3.set_progress(max(self._practised(), (notes["step"] + number) / total))
            log = rig.improve(rng, with_actor=number % self.args.policy_delay == 0)
        notes["step"] += count
        self._note(log)
        if notes["step"] >= total:
            self._enter(JUDGE)

    def _judge(self) -> None:
        """Write the pair as a checkpoint to be announced, if it is no worse than the present one."""
        notes = self.notes
        verdict = self.jury.verdict(notes["present"], notes["figures"], self._breathe)
        self._note({f"judge/{name}": value for name, value in verdict.figures.items()})
        if verdict.accepted:
            notes["found"], notes["verdict"] = dict(verdict.figures), verdict.reason
            notes["candidate"] = self._write(verdict.figures)
            self._enter(ANNOUNCE)
        elif self.jury.trained(self.notes["present"]):
            notes |= {"relearning": False, "knows": False}
            self._tell(f"not published, {notes['present']} goes on: {verdict.reason}")
            self._go_back()
        else:
            self._start_over()
            wanted = notes["wanted"]
            self._tell(f"not published, exploring up to {wanted} steps to begin anew: {verdict.reason}")

    _UNITS: ClassVar[dict[str, Callable[[Learner], None]]] = {
        GATHER: _gather,
        SEE: _see,
        ENCODE: _encode,
        REHEARSE: _rehearse,
        PRACTISE: _practise,
        TUNE: _tune,
        REFIT: _refit,
        JUDGE: _judge,
    }

    # --- from phase to phase

    def _enter(self, phase: str, after: str = "") -> None:
        self.notes |= {"phase": phase, "step": 0, "after": after}

    def _total(self) -> int:
        """Steps of the present phase."""
        phase, args = self.notes["phase"], self.args
        totals = {
            SEE: max(1, (self.settings.relearn_updates if self.notes["relearning"] else args.vae_updates) // UNIT),
            ENCODE: self.rig.replay.size,
            REHEARSE: max(1, args.rehearsal_updates // REHEARSAL_UNIT),
            PRACTISE: self.notes["owed"],
            TUNE: self.settings.tune_updates,
            REFIT: self.settings.refit_updates,
        }
        return totals.get(phase, 0)

    def _enough(self) -> bool:
        return len(self.rig.replay) >= self.args.batch

    def _tuning_due(self) -> bool:
        every = self.settings.fine_tune_every
        return bool(every) and self.notes["since_tuned"] >= every

    def _practised(self) -> float:
        """How far the fall of the learning rates is: 0 at the beginning, 1 at the end."""
        args = self.args
        return min(1.0, self.notes["updates"] / (args.rehearsal_updates + args.online_steps * args.updates))

    def _attempt(self) -> None:
        """Try to come to a better pair."""
        self.notes["since_tuned"] = 0
        self.notes["tunings"] += 1
        save_state(self.work, self.rig, self.notes, name=BEFORE_FILE)
        self._enter(TUNE)

    def _go_back(self) -> None:
        """To the networks from before the attempt."""
        load_learnt(self.work / BEFORE_FILE, self.rig)
        self.best = {}
        self._enter(ENCODE, after=PRACTISE)

    def _start_over(self) -> None:
        """To new networks, with all that was seen, once there is half as much again."""
        seen = replay_arrays(self.rig.replay, "replay")
        others, explored, episodes = (
            replay_arrays(self.held_out.replay, "held_out"),
            self.rig.explored,
            self.rig.episodes,
        )
        wanted = 3 * max(self.notes["wanted"], self.notes["explored"]) // 2
        self.notes |= {"attempts": self.notes["attempts"] + 1, "updates": 0, "wanted": wanted}
        self._make(self.config)
        fill_replay(self.rig.replay, "replay", seen)
        fill_replay(self.held_out.replay, "held_out", others)
        self.rig.explored, self.rig.episodes = explored, episodes
        self._enter(GATHER)

    def _follow(self) -> None:
        """Where somebody has made another checkpoint the current one, go on from that."""
        notes, current = self.notes, self._current()
        if current in (None, notes["present"]) or notes["phase"] in (GATHER, SEE, REHEARSE, ANNOUNCE):
            return
        directory = self.root / current
        config = checkpoint.read_config(directory)
        restore.load(directory, config, self.rig)
        self.best = {}
        self._tell(f"checkpoint {current} was made the current one: going on from it")
        notes |= {"present": current, "figures": {}, "candidate": "", "knows": None, "unknown": 0}
        self._enter(ENCODE, after=PRACTISE if config.trained else GATHER)

    def _current(self) -> str | None:
        """Name of the root's current checkpoint."""
        try:
            return (self.root / CURRENT).readlink().name
        except OSError:
            return None

    # --- writing

    def _write(self, found: dict[str, Any]) -> str:
        """The pair as a checkpoint; returns its name."""
        notes = self.notes
        stem = name = f"practice-{notes['steps']:06d}"
        number = 1
        while (self.root / name).exists():
            number += 1
            name = f"{stem}-{number}"
        training = {"step": notes["steps"] - notes["explored"], "samples": notes["steps"]}
        export.write(self.root / name, self.rig, self.config, notes["present"], training, found)
        return name

    def _encoded(self, frames: slice) -> np.ndarray:
        """float32 [B, L]: frames as they are encoded now."""
        replay, indices = self.rig.replay, np.arange(frames.start, frames.stop)
        parts = np.array_split(indices, -(-len(indices) // ENCODE_BATCH))
        return np.concatenate([self.rig.representation.encode(replay.frames(part)) for part in parts])

    def _breathe(self) -> None:
        if self.interrupt():
            raise Interrupted

    def _rng(self, phase: str) -> np.random.Generator:
        """The randomness of one unit of work."""
        notes = self.notes
        stage = list(self._UNITS).index(phase)
        return np.random.default_rng((self.args.seed, stage, notes["tunings"], notes["step"], notes["updates"]))

    def _note(self, log: Log) -> None:
        """Into the logs, by the robot's steps."""
        self._log = log
        notes = self.notes
        early = notes["phase"] in (SEE, REHEARSE)
        for name, value in log.items():
            where = f"{notes['phase']}/{name}" if early else name
            self.writer.add_scalar(where, value, notes["step"] if early else notes["steps"])

    def _tell(self, text: str) -> None:
        self.text = text
        self.say(text)
