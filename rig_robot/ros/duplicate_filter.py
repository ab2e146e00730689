"""Drops the second delivery of a message that two subscriptions of one topic receive."""

from collections.abc import Hashable


class DuplicateFilter:
    """Recognises the second delivery on a topic that is subscribed twice (reliable and best effort).

    A reliable publisher reaches both subscriptions. Each delivery cancels one equal delivery on the other subscription.
    So the same message sent twice counts twice, and pictures A, B, A without stamps stay three.

    Args:
        patience_s: Longest time between the two deliveries of a message [s].
    """

    def __init__(self, patience_s: float = 2.0) -> None:
        self._patience = patience_s
        self._waiting: tuple[list[tuple[Hashable, float]], list[tuple[Hashable, float]]] = ([], [])

    def is_new(self, side: int, content: Hashable, now_s: float) -> bool:
        """Return whether this delivery is the first of its message.

        Args:
            side: Number of the subscription that delivered, 0 or 1.
            content: A value that differs between messages, a digest for instance.
            now_s: Time now, steady clock [s].
        """
        for waiting in self._waiting:
            waiting[:] = [(twin, since) for twin, since in waiting if now_s - since <= self._patience]
        for index, (twin, _) in enumerate(self._waiting[1 - side]):
            if twin == content:
                del self._waiting[1 - side][index]
                return False
        self._waiting[side].append((content, now_s))
        return True
