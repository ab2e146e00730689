"""What the robot runs: networks in numpy, policies and goals for each VAE, exploration, pace. No torch."""
