"""Who answers a prompt: features, perceptrons, calibrated probabilities, thresholds."""
