"""The state file of learning on the robot: states of earlier versions can be read, and are written in the same form."""

import json

import pytest

from rig_robot.learning.practice.phases import Notes, Phase, ViewKnowledge

# As a version saved it that kept the phase as text and `knows` as true, false or null.
SAVED = """
{"phase": "encoding", "present": "practice-000225", "training": {"seed": 0}, "wanted": 200, "step": 4000,
 "after": "refitting", "taken": ["a", "b"], "used": 2, "steps": 325, "explored": 225, "generations": [0, 1],
 "knows": true, "unknown": 1, "relearning": false, "owed": 96, "updates": 392, "since_tuned": 1, "tunings": 1,
 "attempts": 0, "best_loss": 2634.8, "best_step": 20, "candidate": "", "verdict": "", "found": {}, "figures": {}}
"""


def test_a_state_of_an_earlier_version_is_read_and_written_back_with_what_came_since() -> None:
    saved = json.loads(SAVED)
    notes = Notes.from_json(saved)
    assert (notes.phase, notes.after, notes.knows) == (Phase.ENCODE, Phase.REFIT, ViewKnowledge.KNOWN)
    assert json.loads(json.dumps(notes.to_json())) == saved | {"seen": 0, "tune_at": 0}


@pytest.mark.parametrize(
    ("value", "meant"),
    [(None, ViewKnowledge.UNTESTED), (True, ViewKnowledge.KNOWN), (False, ViewKnowledge.GIVEN_UP)],
)
def test_every_value_of_the_knowledge_of_the_view_comes_back(value: bool | None, meant: ViewKnowledge) -> None:
    notes = Notes.from_json(json.loads(SAVED) | {"knows": value, "after": ""})
    assert notes.knows is meant and notes.after is None
    assert notes.to_json()["knows"] is value and notes.to_json()["after"] == ""


def test_a_view_is_explored_after_one_unfamiliar_episode_after_two_or_never() -> None:
    wanted = [knowledge.unfamiliar_episodes_to_explore for knowledge in ViewKnowledge]
    assert wanted == [1, 2, float("inf")]


@pytest.mark.parametrize("changes", [{"phase": "dreaming"}, {"after": "dreaming"}, {"knows": "perhaps"}, {"new": 1}])
def test_notes_that_cannot_be_meant_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises((TypeError, ValueError)):
        Notes.from_json(json.loads(SAVED) | changes)


def test_a_fine_tuning_waits_until_what_was_recorded_before_it_is_learned() -> None:
    notes = Notes.from_json(json.loads(SAVED) | {"owed": 0, "updates": 10, "since_tuned": 0})
    for _ in range(3):
        notes.owed += 5
        notes.count_practised(3)
    assert not notes.tuning_due(3)
    notes.owed += 5
    notes.count_practised(3)
    notes.updates, notes.owed = 10 + 15, 5
    assert notes.tuning_due(3), "what came later is for the next one"
    assert not notes.tuning_due(0) and not notes.tuning_due(5)
