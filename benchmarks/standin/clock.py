"""Sleeping that stands a faked clock."""

import select


def sleep(seconds: float) -> None:
    """Sleep for so long [s]; `time.sleep` asks for a moment of the steady clock, which libfaketime gets wrong."""
    select.select([], [], [], max(0.0, seconds))
