"""TD3, replay buffer, relabelling and reward."""
