"""The `rig` commands, a file each."""
