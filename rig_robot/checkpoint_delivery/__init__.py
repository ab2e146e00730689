"""Brings a new checkpoint to a running robot: announces, sends, assembles and switches it."""
