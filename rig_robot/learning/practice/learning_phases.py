"""The phases of learning on the robot in which networks learn, but for the fine-tuning: one unit of work a call."""

from __future__ import annotations

from rig_robot.learning.practice.phases import Phase
from rig_robot.learning.practice.session import Session
from rig_robot.learning.rig import REHEARSAL_UNIT
from rig_robot.learning.rl.goal_prior import Prior

ENCODE_UNIT = 4000
"""frames in a unit of work"""


class LearningPhases:
    """From exploration to a first pair of VAE and policy, and from recorded steps of practice to a better policy."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def gather(self) -> None:
        """End the exploration (line 1)."""
        self._session.tell(f"{self._session.notes.explored} steps were explored: learning to see")
        self._session.notes.enter(Phase.SEE)

    def see(self) -> None:
        """Train the VAE on D (line 2)."""
        session = self._session
        notes, vae = session.notes, session.state.vae
        # What an action does has not changed with the view: latents that move as they did fit the policy best.
        vae.trainer.calibrating = not notes.relearning
        vae.units = session.total()
        losses = vae.fit(session.state.rig.replay, notes.step, session.rng(Phase.SEE), session.others)
        notes.step += 1
        session.log(losses)
        if notes.step >= session.total():
            notes.enter(Phase.ENCODE, after=Phase.REHEARSE)

    def encode(self) -> None:
        """Encode frames anew: no latent outlives the VAE that made it (line 16)."""
        notes, state = self._session.notes, self._session.state
        replay = state.rig.replay
        chunk = slice(notes.step, min(notes.step + ENCODE_UNIT, replay.size))
        state.encode(chunk)
        notes.step = chunk.stop
        if chunk.stop == replay.size:
            state.vae.finish(replay)
            if state.args.prior == "fitted":
                state.rig.prior = Prior.fit(replay.latents[: replay.size])
            notes.enter(notes.after or Phase.PRACTISE)

    def rehearse(self) -> None:
        """Update policy and critics on the transitions of exploration (lines 10 to 14)."""
        session = self._session
        notes, rig, args = session.notes, session.state.rig, session.state.args
        rng, total = session.rng(Phase.REHEARSE), REHEARSAL_UNIT * session.total()
        for number in range(REHEARSAL_UNIT):
            rig.td3.set_progress((notes.step * REHEARSAL_UNIT + number) / total)
            losses = rig.improve(rng, with_actor=number % args.policy_delay == 0)
            notes.updates += 1
        notes.step += 1
        session.log(losses)
        if notes.step >= session.total():
            notes.enter(Phase.JUDGE)

    def practise(self) -> None:
        """Update policy and critics for the recorded steps (lines 10 to 14), or begin a fine-tuning that is due."""
        session = self._session
        notes = session.notes
        if session.tuning_due():
            session.attempt_fine_tuning()
            return
        rng, count = session.rng(Phase.PRACTISE), min(REHEARSAL_UNIT, notes.owed)
        for _ in range(count):
            losses = session.state.rig.learn(rng, notes.updates)
            notes.updates += 1
        notes.owed -= count
        session.log(losses)
