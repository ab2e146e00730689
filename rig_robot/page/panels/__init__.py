"""The parts of the operator's page, a file each. Each builds its elements once and refreshes them."""
