"""Decide who answers a prompt, the base or a modifier: features, perceptrons, calibrated probabilities, thresholds."""
