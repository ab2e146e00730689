"""A picture heard by both subscriptions is one goal; a picture sent again is another."""

from hypothesis import given
from hypothesis import strategies as st

from rig_robot.ros.duplicate_filter import DuplicateFilter


@given(sent=st.lists(st.sampled_from("AB"), max_size=30), data=st.data())
def test_each_message_of_a_reliable_publisher_counts_once_in_any_interleaving(sent, data):
    duplicates = DuplicateFilter()
    queues = [list(sent), list(sent)]
    new = []
    while any(queues):
        side = data.draw(st.sampled_from([i for i in (0, 1) if queues[i]]))
        content = queues[side].pop(0)
        if duplicates.is_new(side, content, 0.0):
            new.append(content)
    assert sorted(new) == sorted(sent)


@given(sent=st.lists(st.sampled_from("AB"), max_size=30))
def test_each_message_of_a_best_effort_publisher_counts(sent):
    duplicates = DuplicateFilter()
    assert all(duplicates.is_new(1, content, 0.0) for content in sent)


def test_a_copy_that_never_arrived_does_not_hide_the_same_picture_later():
    duplicates = DuplicateFilter(patience_s=2.0)
    assert duplicates.is_new(0, "A", 0.0)
    assert duplicates.is_new(1, "A", 2.5)
    assert not duplicates.is_new(0, "A", 2.6)
