"""From the learner to a checkpoint and back."""
