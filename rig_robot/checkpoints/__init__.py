"""Defines the format of a checkpoint on disk, and which checkpoints fit together."""
