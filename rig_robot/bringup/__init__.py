"""Puts the nodes of a system together and runs them."""
