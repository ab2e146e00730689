"""Observations, untrusted pictures, and whether view and goals are familiar."""
