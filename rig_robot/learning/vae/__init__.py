"""The VAEs and their training."""
