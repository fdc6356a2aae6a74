"""Decide who answers a prompt, the base or a modifier: features, committees, calibrated probabilities, thresholds."""
