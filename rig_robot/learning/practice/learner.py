"""Learning on the robot: RIG (Algorithm 1) on episodes as they are recorded, in units of work of a second or two.

A robot that knows nothing explores until there is enough to see (lines 1 and 2); from then on every recorded step of
practice is followed by updates of policy and critics (lines 10 to 14), and every few episodes the VAE is fine-tuned,
everything is encoded anew (line 16), and the pair is refitted, judged, and written as a checkpoint. Acting is not done
here: who practises and who records are other processes.

After each unit the state on disk is replaced by rename. What is killed goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch.utils.tensorboard import SummaryWriter

from rig_robot.checkpoints.checkpoint import CURRENT
from rig_robot.learning.checkpoint_io import export
from rig_robot.learning.practice.candidate_evaluation import Arena, Jury
from rig_robot.learning.practice.phases import (
    ANNOUNCE,
    ENCODE,
    GATHER,
    JUDGE,
    PRACTISE,
    REFIT,
    REHEARSE,
    SEE,
    TUNE,
    WAITING,
    Progress,
)
from rig_robot.learning.practice.settings import Settings
from rig_robot.learning.practice.state import HELD_OUT_EVERY, State
from rig_robot.learning.representations.base import Log
from rig_robot.learning.representations.latent import UNIT
from rig_robot.learning.rig import REHEARSAL_UNIT
from rig_robot.learning.rl.goal_prior import Prior
from rig_robot.recording.transitions import Segment

LOGS = "tensorboard"
HELD_OUT = 2
"""Of every ten episodes, the third is held out: also the first few shall have one."""
ENCODE_UNIT = 4000
"""frames in a unit of work"""
TUNE_UNIT = 10
"""VAE updates"""
PATIENCE = 4
"""units without a better held-out loss after which fine-tuning stops"""
KNOWN_IMAGES = 100
"""of a new episode, by which it is told whether the VAE knows the view"""


class Interrupted(Exception):
    """A unit of work was broken off, since somebody wants to pause or stop; nothing of it counts."""


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
        self.root, self.settings, self.say = root, settings, say
        self.interrupt: Callable[[], bool] = lambda: False
        """asked between the steps of a long unit of work; True: break it off (`Interrupted`)"""
        self.text = ""
        self._log: Log = {}
        self._unit_s = 0.0
        self.others: np.ndarray | None = None
        """uint8 [N, S, S, 3], pictures of elsewhere that the VAE is shown as well; whoever has some sets it"""
        torch.set_num_threads(1)
        self.state = State(work, root, settings)
        self.notes = self.state.notes
        if self.state.trouble:
            self._tell(self.state.trouble)
        self._arena: Arena | None = None
        if settings.environment:
            self._arena = Arena(settings.environment, settings.scene, settings.judge_goals, self.state.args)
        self.writer = SummaryWriter(work / LOGS)
        if self.candidate is not None and self._current() == self.candidate.name:
            self.settle(True)  # killed in between
        elif self.candidate is not None and not self.candidate.exists():
            self.settle(False, "it is gone")

    @property
    def _jury(self) -> Jury:
        state = self.state
        return Jury(self.root, state.config, state.rig, state.held_out.replay, self._arena)

    # --- what comes from outside

    @property
    def taken(self) -> set[str]:
        """Names of all episodes that need not be read again, those of no use among them."""
        return set(self.notes.taken)

    def take(self, name: str, segments: Sequence[Segment], explored: bool) -> None:
        """Take in a recorded episode; explored: its actions were random. Every tenth is held out."""
        notes, rig, replay = self.notes, self.state.rig, self.state.rig.replay
        frames = sum(len(segment.images) for segment in segments)
        held_out = notes.used % HELD_OUT_EVERY == HELD_OUT
        size, episodes = replay.size, len(replay.first)
        try:
            if held_out:
                self.state.held_out.add(segments)
            elif frames:
                rig.explored = self.state.experience.add(segments, rig.explored)
        except ValueError as error:
            self.refuse(name, str(error))
            return
        notes.taken.append(name)
        notes.used += bool(frames)
        known = True
        if frames and notes.phase == PRACTISE:
            known = self._jury.knows(np.concatenate([segment.images for segment in segments])[:KNOWN_IMAGES])
            notes.unknown = 0 if known else notes.unknown + 1
            # One picture of something else is chance; but a checkpoint from elsewhere may not know the place at all.
            if notes.unknown >= {None: 1, True: 2, False: 10**9}[notes.knows]:
                self._look_around()
            elif known:
                notes.knows = True
            known = known or notes.knows is False
        if frames and not held_out:
            if notes.phase in (GATHER, SEE):
                if explored and rig.explored == episodes:
                    rig.explored = len(replay.first)
            else:
                new = slice(replay.size - frames, replay.size)
                self.state.encode(new)
                notes.owed += known * self.settings.updates * (frames - len(segments))
            if notes.phase == ENCODE and replay.size != size + frames:
                notes.step = 0  # some were forgotten: frames have moved up
        notes.steps += frames  # each of them was acted on
        notes.explored += frames if explored else 0
        if not explored:
            rig.episodes += 1
            notes.since_tuned += 1
        self.state.save()

    def _look_around(self) -> None:
        """The view is not what the VAE has learnt: to explore it, then to learn to see it, with the old networks."""
        notes, settings = self.notes, self.settings
        self.state.set_mark()
        notes.relearning, notes.wanted = True, notes.explored + settings.relearn_steps
        notes.owed = notes.since_tuned = 0
        notes.enter(GATHER)
        self._tell(f"this view is not what the VAE knows: {settings.relearn_steps} random steps to learn to see it")

    def recall(self, name: str, segments: Sequence[Segment]) -> None:
        """Take in what was recorded before this training began, as exploration; it must come before what is new."""
        notes, rig, replay = self.notes, self.state.rig, self.state.rig.replay
        if rig.explored < len(replay.first):
            self.refuse(name, "earlier data come first, and practice was recorded already")
            return
        try:
            self.state.experience.add(segments, rig.explored)
        except ValueError as error:
            self.refuse(name, str(error))
            return
        rig.explored = len(replay.first)
        if notes.phase == GATHER:
            notes.explored += sum(len(segment.images) for segment in segments)
        else:
            new = slice(replay.size - sum(len(segment.images) for segment in segments), replay.size)
            self.state.encode(new)
        notes.taken.append(name)
        self.state.save()

    def refuse(self, name: str, why: str) -> None:
        """Remember that an episode is of no use."""
        self.notes.taken.append(name)
        self._tell(f"episode {name} is left out: {why}")
        self.state.save()

    def fine_tune(self) -> str:
        """Fine-tune as soon as possible, or begin to learn with what there is; returns what will be done."""
        notes = self.notes
        if notes.phase not in (GATHER, PRACTISE):
            return f"{notes.phase} already"
        if not self._enough():
            return f"{len(self.state.rig.replay)} recorded steps are too few: {self.state.args.batch} wanted"
        if notes.phase == GATHER:
            notes.enter(SEE)
        else:
            self._attempt()
        self.state.save()
        return "begins to learn with what there is" if notes.phase == SEE else "fine-tunes"

    def give_up(self) -> str:
        """Give up what is being done; what was learned before it is kept. Returns what was given up."""
        phase = self.notes.phase
        if phase in (TUNE, REFIT, JUDGE) or (phase == ENCODE and self.notes.after == REFIT):
            if self._jury.trained(self.notes.present):
                self._go_back()
        elif phase == PRACTISE:
            self.notes.owed = 0
        self.state.save()
        return phase

    @property
    def candidate(self) -> Path | None:
        """A checkpoint that was written and waits for being announced."""
        name = self.notes.candidate
        return self.root / name if name else None

    def settle(self, accepted: bool, why: str = "") -> None:
        """Say what became of the candidate: it is the current checkpoint, or the one before goes on."""
        notes = self.notes
        name, notes.candidate = notes.candidate, ""
        if accepted:
            notes.present = name
            # The best so far is what others are measured by: a little worse each time would go far.
            if not notes.figures or notes.found.get("mean_mm", 0) < notes.figures.get("mean_mm", 0):
                notes.figures = notes.found
            notes.knows, notes.unknown = self._jury.knows(self._jury.images(KNOWN_IMAGES)), 0
            notes.relearning = False
            self._tell(f"checkpoint {name} is current: {notes.verdict}")
            notes.enter(PRACTISE)
        else:
            self._tell(f"checkpoint {name} was refused, {notes.present} goes on: {why}")
            if self._jury.trained(notes.present):
                self._go_back()
            else:
                notes.enter(PRACTISE)
        self.state.save()

    def progress(self) -> Progress:
        """What is being done."""
        notes = self.notes
        phase, step, of, text = notes.phase, notes.step, self._total(), self.text
        if phase == GATHER:
            step, of = notes.explored, notes.wanted
        if not self.due() and phase != ANNOUNCE:
            text = f"explored {step} of {of} steps" if phase == GATHER else text
            phase = WAITING
        eta = self._unit_s * max(0, of - step)
        explore = "wanted" if notes.phase == GATHER and not self.due() else "enough"
        return Progress(phase, step, of, self._log, eta, notes.steps, len(notes.taken), notes.present, explore, text)

    # --- units of work

    def due(self) -> bool:
        """Whether there is something to do."""
        phase = self.notes.phase
        if phase == GATHER:
            return self._enough() and self.notes.explored >= self.notes.wanted
        if phase == PRACTISE:
            return self._enough() and (self.notes.owed > 0 or self._tuning_due())
        return phase != ANNOUNCE

    def work_once(self) -> bool:
        """Do one unit of work and save the state; False if there is none to do.

        Raises:
            Interrupted: If it was broken off; the same is to be done next time.
        """
        self._follow()
        if not self.due():
            return False
        began, phase, step = time.perf_counter(), self.notes.phase, self.notes.step
        self._UNITS[phase](self)
        self.state.save()
        done = self.notes.step - step
        if self.notes.phase != phase:
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
        self._tell(f"{self.notes.explored} steps were explored: learning to see")
        self.notes.enter(SEE)

    def _see(self) -> None:
        """Line 2: train the VAE on D."""
        notes = self.notes
        # What an action does has not changed with the view: latents that move as they did fit the policy best.
        self.state.vae.trainer.calibrating = not notes.relearning
        self.state.vae.units = self._total()
        log = self.state.vae.fit(self.state.rig.replay, notes.step, self._rng(SEE), self.others)
        notes.step += 1
        self._note(log)
        if notes.step >= self._total():
            notes.enter(ENCODE, after=REHEARSE)

    def _encode(self) -> None:
        """Line 16: no latent outlives the VAE that made it."""
        notes, rig, replay = self.notes, self.state.rig, self.state.rig.replay
        chunk = slice(notes.step, min(notes.step + ENCODE_UNIT, replay.size))
        self.state.encode(chunk)
        notes.step = chunk.stop
        if chunk.stop == replay.size:
            if self.state.args.prior == "fitted":
                rig.prior = Prior.fit(replay.latents[: replay.size])
            notes.enter(notes.after)

    def _rehearse(self) -> None:
        """Lines 10 to 14, on what exploration gave."""
        notes, rig, args = self.notes, self.state.rig, self.state.args
        rng, total = self._rng(REHEARSE), REHEARSAL_UNIT * self._total()
        for number in range(REHEARSAL_UNIT):
            rig.td3.set_progress((notes.step * REHEARSAL_UNIT + number) / total)
            log = rig.improve(rng, with_actor=number % args.policy_delay == 0)
            notes.updates += 1
        notes.step += 1
        self._note(log)
        if notes.step >= self._total():
            notes.enter(JUDGE)

    def _practise(self) -> None:
        """Lines 10 to 14, for what was practised; every few episodes line 16."""
        notes = self.notes
        if self._tuning_due():
            self._attempt()
            return
        rng, count = self._rng(PRACTISE), min(REHEARSAL_UNIT, notes.owed)
        for _ in range(count):
            log = self.state.rig.learn(rng, notes.updates)
            notes.updates += 1
        notes.owed -= count
        self._note(log)

    def _tune(self) -> None:
        """Fine-tune the VAE until images that it is not trained on gain no more; the best of it is kept."""
        notes, rig = self.notes, self.state.rig
        if not self.state.best:
            self.state.keep_best(self._jury.loss())
        self.state.vae.trainer.calibrating = True
        log = self.state.vae.fine_tune(
            rig.replay, rig.explored_frames, self._practised(), self._rng(TUNE), TUNE_UNIT, self.others
        )
        notes.step += TUNE_UNIT
        loss = self._jury.loss()
        if not loss >= notes.best_loss:  # also where no episode is held out yet
            self.state.keep_best(loss)
        self._note(log | {"vae/held_out_loss": loss})
        if notes.step >= self._total() or notes.step - notes.best_step >= PATIENCE * TUNE_UNIT:
            self.state.take_best()
            notes.enter(ENCODE, after=REFIT)

    def _refit(self) -> None:
        """Policy and critics follow the latents, so that the pair fits."""
        notes, rig, total = self.notes, self.state.rig, self._total()
        rng, count = self._rng(REFIT), min(REHEARSAL_UNIT, total - notes.step)
        for number in range(count):
            rig.td3.set_progress(max(self._practised(), (notes.step + number) / total))
            log = rig.improve(rng, with_actor=number % self.state.args.policy_delay == 0)
        notes.step += count
        self._note(log)
        if notes.step >= total:
            notes.enter(JUDGE)

    def _judge(self) -> None:
        """Write the pair as a checkpoint to be announced, if it is no worse than the present one."""
        notes = self.notes
        verdict = self._jury.verdict(notes.present, notes.figures, self._breathe)
        self._note({f"judge/{name}": value for name, value in verdict.figures.items()})
        if verdict.accepted:
            notes.found, notes.verdict = dict(verdict.figures), verdict.reason
            notes.candidate = self._write(verdict.figures)
            notes.enter(ANNOUNCE)
        elif self._jury.trained(notes.present):
            notes.relearning = notes.knows = False
            self._tell(f"not published, {notes.present} goes on: {verdict.reason}")
            self._go_back()
        else:
            self._start_over()
            wanted = notes.wanted
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

    def _total(self) -> int:
        """Steps of the present phase."""
        phase, args = self.notes.phase, self.state.args
        totals = {
            SEE: max(1, (self.settings.relearn_updates if self.notes.relearning else args.vae_updates) // UNIT),
            ENCODE: self.state.rig.replay.size,
            REHEARSE: max(1, args.rehearsal_updates // REHEARSAL_UNIT),
            PRACTISE: self.notes.owed,
            TUNE: self.settings.tune_updates,
            REFIT: self.settings.refit_updates,
        }
        return totals.get(phase, 0)

    def _enough(self) -> bool:
        return len(self.state.rig.replay) >= self.state.args.batch

    def _tuning_due(self) -> bool:
        every = self.settings.fine_tune_every
        return bool(every) and self.notes.since_tuned >= every

    def _practised(self) -> float:
        """How far the fall of the learning rates is: 0 at the beginning, 1 at the end."""
        args = self.state.args
        return min(1.0, self.notes.updates / (args.rehearsal_updates + args.online_steps * args.updates))

    def _attempt(self) -> None:
        """Try to come to a better pair."""
        self.notes.since_tuned = 0
        self.notes.tunings += 1
        self.state.set_mark()
        self.notes.enter(TUNE)

    def _go_back(self) -> None:
        """To the networks from before the attempt."""
        self.state.go_back()
        self.notes.enter(ENCODE, after=PRACTISE)

    def _start_over(self) -> None:
        """To new networks, with all that was seen, once there is half as much again."""
        notes = self.notes
        notes.wanted = 3 * max(notes.wanted, notes.explored) // 2
        self.state.start_over()
        notes.enter(GATHER)

    def _follow(self) -> None:
        """Where somebody has made another checkpoint the current one, go on from that."""
        notes, current = self.notes, self._current()
        if current in (None, notes.present) or notes.phase in (GATHER, SEE, REHEARSE, ANNOUNCE):
            return
        self.state.follow(current)
        self._tell(f"checkpoint {current} was made the current one: going on from it")
        notes.present, notes.figures, notes.candidate = current, {}, ""
        notes.knows, notes.unknown = None, 0
        notes.enter(ENCODE, after=PRACTISE if self._jury.trained(current) else GATHER)

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
        stem = name = f"practice-{notes.steps:06d}"
        number = 1
        while (self.root / name).exists():
            number += 1
            name = f"{stem}-{number}"
        training = {"step": notes.steps - notes.explored, "samples": notes.steps}
        export.write(self.root / name, self.state.rig, self.state.config, notes.present, training, found)
        return name

    def _breathe(self) -> None:
        if self.interrupt():
            raise Interrupted

    def _rng(self, phase: str) -> np.random.Generator:
        """The randomness of one unit of work."""
        notes = self.notes
        stage = list(self._UNITS).index(phase)
        return np.random.default_rng((self.state.args.seed, stage, notes.tunings, notes.step, notes.updates))

    def _note(self, log: Log) -> None:
        """Into the logs, by the robot's steps."""
        self._log = log
        notes = self.notes
        early = notes.phase in (SEE, REHEARSE)
        for name, value in log.items():
            where = f"{notes.phase}/{name}" if early else name
            self.writer.add_scalar(where, value, notes.step if early else notes.steps)

    def _tell(self, text: str) -> None:
        self.text = text
        self.say(text)
