"""Train models in memory, and compress them in one pass over calibration texts."""
