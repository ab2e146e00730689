"""Writes what a learner knows as a checkpoint, and reads it back."""
