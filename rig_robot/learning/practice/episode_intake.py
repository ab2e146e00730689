"""Takes recorded episodes into the replay buffer, and notices a view that the VAE does not know."""

from __future__ import annotations

from collections.abc import Sequence

from rig_robot.learning.practice.phases import Phase, ViewKnowledge
from rig_robot.learning.practice.session import KNOWN_IMAGES, Session
from rig_robot.learning.practice.state import HELD_OUT_EVERY
from rig_robot.learning.rl.replay_buffer import ReplayBuffer
from rig_robot.recording.transitions import Segment

HELD_OUT = 2
"""Of every ten episodes, the third is held out, so that also the first few episodes have a held-out one."""


class EpisodeIntake:
    """Adds episodes to the frames that are trained on, or to those that are held out."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def take(self, name: str, segments: Sequence[Segment], explored: bool) -> None:
        """Take in an episode; explored: its actions were random. Every tenth is held out."""
        session = self._session
        notes, rig, replay = session.notes, session.state.rig, session.state.rig.replay
        frames = sum(len(segment.images) for segment in segments)
        held_out = notes.used % HELD_OUT_EVERY == HELD_OUT
        size, episodes = replay.size, len(replay.first)
        try:
            if held_out:
                session.state.held_out.add(segments)
            elif frames:
                rig.explored = session.state.experience.add(segments, rig.explored)
        except ValueError as error:
            session.refuse(name, str(error))
            return
        notes.taken.append(name)
        notes.used += bool(frames)
        took = session.state.held_out.replay if held_out else replay
        view_known = self._check_view(took, frames) if frames and notes.phase is Phase.PRACTISE else True
        if frames and not held_out:
            if notes.phase in (Phase.GATHER, Phase.SEE):
                if explored and rig.explored == episodes:
                    rig.explored = len(replay.first)
            else:
                session.state.encode(slice(replay.size - frames, replay.size))
                notes.owed += view_known * session.settings.updates * (frames - len(segments))
            if notes.phase is Phase.ENCODE and replay.size != size + frames:
                notes.step = 0  # some were forgotten: frames have moved up
        notes.steps += frames  # each of them was acted on
        notes.explored += frames if explored else 0
        if not explored:
            rig.episodes += 1
            notes.count_practised(session.settings.fine_tune_every)
        session.state.save()

    def recall(self, name: str, segments: Sequence[Segment]) -> None:
        """Take in an episode from before this training, as exploration; it must come before all new ones."""
        session = self._session
        notes, rig, replay = session.notes, session.state.rig, session.state.rig.replay
        if rig.explored < len(replay.first):
            session.refuse(name, "earlier data come first, and practice was recorded already")
            return
        try:
            session.state.experience.add(segments, rig.explored)
        except ValueError as error:
            session.refuse(name, str(error))
            return
        rig.explored = len(replay.first)
        frames = sum(len(segment.images) for segment in segments)
        if notes.phase is Phase.GATHER:
            notes.explored += frames
        else:
            session.state.encode(slice(replay.size - frames, replay.size))
        notes.taken.append(name)
        session.state.save()

    def _check_view(self, replay: ReplayBuffer, frames: int) -> bool:
        """Return whether to learn from an episode's latents; begin to explore a view that the VAE does not know.

        The episode is the newest frames of a buffer.
        """
        notes = self._session.notes
        known = self._session.evaluation.knows_view(replay, min(frames, KNOWN_IMAGES))
        notes.unknown = 0 if known else notes.unknown + 1
        if notes.unknown >= notes.knows.unfamiliar_episodes_to_explore:
            self._explore_view()
        elif known:
            notes.knows = ViewKnowledge.KNOWN
        return known or notes.knows is ViewKnowledge.GIVEN_UP

    def _explore_view(self) -> None:
        """Handle an unfamiliar view: explore, then retrain the VAE from its current weights."""
        session = self._session
        notes, settings = session.notes, session.settings
        session.state.save_fallback()
        notes.relearning, notes.wanted = True, notes.explored + settings.relearn_steps
        notes.owed = notes.since_tuned = 0
        notes.enter(Phase.GATHER)
        session.tell(f"this view is not what the VAE knows: {settings.relearn_steps} random steps to learn to see it")
