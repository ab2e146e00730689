"""Holds what several folders need, one idea in each module."""
