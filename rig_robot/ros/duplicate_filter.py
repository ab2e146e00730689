"""One message heard by two subscriptions counts once; the same message sent twice counts twice."""

from collections.abc import Hashable


class Deduplicator:
    """For a topic that is subscribed twice (reliable and best effort): a reliable publisher reaches both.

    Each delivery waits for its twin on the other subscription, so that pictures A, B, A without stamps stay three.
    """

    def __init__(self, patience_s: float = 2.0) -> None:
        self._patience = patience_s
        self._waiting: tuple[list[tuple[Hashable, float]], list[tuple[Hashable, float]]] = ([], [])

    def is_new(self, side: int, content: Hashable, now_s: float) -> bool:
        """Whether this delivery is the first of its message.

        Args:
            side: 0 or 1, the subscription that delivered.
            content: What tells messages apart, a digest for instance.
            now_s: Steady clock [s].
        """
        for waiting in self._waiting:
            waiting[:] = [(twin, since) for twin, since in waiting if now_s - since <= self._patience]
        for index, (twin, _) in enumerate(self._waiting[1 - side]):
            if twin == content:
                del self._waiting[1 - side][index]
                return False
        self._waiting[side].append((content, now_s))
        return True
