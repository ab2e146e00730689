"""The checks of `rig doctor`, a file for each group."""
