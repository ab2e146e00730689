"""Evaluates candidates, writes them as checkpoints, and accepts them or rolls back as the robot answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rig_robot.learning.checkpoint_io import export
from rig_robot.learning.practice.phases import Phase, ViewKnowledge
from rig_robot.learning.practice.session import KNOWN_IMAGES, Session


class Candidates:
    """A pair of VAE and policy on its way to being the current checkpoint.

    A candidate that a killed process left behind is settled at once: accepted where it is the current checkpoint,
    rejected where its directory is gone.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        waiting = self.waiting
        if waiting is not None and session.current() == waiting.name:
            self.settle(True)  # killed in between
        elif waiting is not None and not waiting.exists():
            self.settle(False, "it is gone")

    @property
    def waiting(self) -> Path | None:
        """The checkpoint that was written and waits for the robot's answer."""
        name = self._session.notes.candidate
        return self._session.root / name if name else None

    def evaluate(self) -> None:
        """Write the pair as a checkpoint to announce, if it is no worse than the present one."""
        session = self._session
        notes = session.notes
        decision = session.evaluation.compare(notes.present, notes.figures, session.check_interrupt)
        session.log({f"judge/{name}": value for name, value in decision.figures.items()})
        if decision.accepted:
            notes.found, notes.verdict = dict(decision.figures), decision.reason
            notes.candidate = self._write(decision.figures)
            notes.enter(Phase.ANNOUNCE)
        elif session.is_trained(notes.present):
            notes.relearning, notes.knows = False, ViewKnowledge.GIVEN_UP
            session.tell(f"not published, {notes.present} goes on: {decision.reason}")
            session.roll_back()
        else:
            self._start_over()
            wanted = notes.wanted
            session.tell(f"not published, exploring up to {wanted} steps to begin anew: {decision.reason}")

    def settle(self, accepted: bool, why: str = "") -> None:
        """Make the candidate the present checkpoint if the robot has accepted it; else keep the present one."""
        session = self._session
        notes = session.notes
        name, notes.candidate = notes.candidate, ""
        if accepted:
            notes.present = name
            # Candidates are compared with the best so far: if each could be a little worse than the last, the losses
            # would add up.
            if not notes.figures or notes.found.get("mean_mm", 0) < notes.figures.get("mean_mm", 0):
                notes.figures = notes.found
            evaluation = session.evaluation
            known = evaluation.knows_held_out_view(KNOWN_IMAGES)
            notes.knows, notes.unknown = ViewKnowledge(bool(known)), 0
            notes.relearning = False
            session.tell(f"checkpoint {name} is current: {notes.verdict}")
            notes.enter(Phase.PRACTISE)
        else:
            session.tell(f"checkpoint {name} was refused, {notes.present} goes on: {why}")
            if session.is_trained(notes.present):
                session.roll_back()
            else:
                notes.enter(Phase.PRACTISE)
        session.state.save()

    def follow_current(self) -> None:
        """Go on from another checkpoint where somebody has made it the current one."""
        session = self._session
        notes, current = session.notes, session.current()
        unfinished = (Phase.GATHER, Phase.SEE, Phase.REHEARSE, Phase.ANNOUNCE)
        if current is None or current == notes.present or notes.phase in unfinished:
            return
        session.state.load_checkpoint(current)
        session.tell(f"checkpoint {current} was made the current one: going on from it")
        notes.present, notes.figures, notes.candidate = current, {}, ""
        notes.knows, notes.unknown = ViewKnowledge.UNTESTED, 0
        notes.enter(Phase.ENCODE, after=Phase.PRACTISE if session.is_trained(current) else Phase.GATHER)

    def _start_over(self) -> None:
        """Begin again with new networks and all recorded frames, once there are half as many frames again."""
        notes = self._session.notes
        notes.wanted = 3 * max(notes.wanted, notes.explored) // 2
        self._session.state.start_over()
        notes.enter(Phase.GATHER)

    def _write(self, found: dict[str, Any]) -> str:
        """Write the pair as a checkpoint and return its name."""
        session = self._session
        notes = session.notes
        name = session.candidate_name()
        training = {"step": notes.steps - notes.explored, "samples": notes.steps}
        state = session.state
        export.write(session.root / name, state.rig, state.config, notes.present, training, found)
        return name
