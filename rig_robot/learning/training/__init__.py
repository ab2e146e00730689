"""Training in simulation: `rig train`, evaluation, plots."""
