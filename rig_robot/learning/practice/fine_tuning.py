"""Fine-tunes on the robot: the VAE on newer frames, then policy and critics on its latents; one unit of work a call."""

from __future__ import annotations

from rig_robot.learning.practice.phases import Phase
from rig_robot.learning.practice.session import Session
from rig_robot.learning.rig import REHEARSAL_UNIT

TUNE_UNIT = 10
"""VAE updates in a unit of work"""
PATIENCE = 4
"""units without a lower held-out loss after which fine-tuning stops"""


class FineTuning:
    """Line 16 of Algorithm 1, as an attempt: what comes of it is a candidate."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def tune(self) -> None:
        """Fine-tune the VAE until held-out images gain no more; its best weights are kept."""
        session = self._session
        notes, state = session.notes, session.state
        if not state.best:
            state.keep_best(session.evaluation.held_out_loss())
        state.vae.trainer.calibrating = True
        losses = state.vae.fine_tune(
            state.rig.replay,
            state.rig.explored_frames,
            session.practised(),
            session.rng(Phase.TUNE),
            TUNE_UNIT,
            session.others,
        )
        notes.step += TUNE_UNIT
        loss = session.evaluation.held_out_loss()
        if not loss >= notes.best_loss:  # also where no episode is held out yet
            state.keep_best(loss)
        session.log(losses | {"vae/held_out_loss": loss})
        if notes.step >= session.total() or notes.step - notes.best_step >= PATIENCE * TUNE_UNIT:
            state.restore_best()
            notes.enter(Phase.ENCODE, after=Phase.REFIT)

    def refit(self) -> None:
        """Update policy and critics on the new latents, so that the pair fits."""
        session = self._session
        notes, rig, total = session.notes, session.state.rig, session.total()
        rng, count = session.rng(Phase.REFIT), min(REHEARSAL_UNIT, total - notes.step)
        for number in range(count):
            rig.td3.set_progress(max(session.practised(), (notes.step + number) / total))
            losses = rig.improve(rng, with_actor=number % session.state.args.policy_delay == 0)
        notes.step += count
        session.log(losses)
        if notes.step >= total:
            notes.enter(Phase.JUDGE)
