"""Typed settings for tests: those of a preset, with some values changed."""

from helpers.workspaces import ROOT
from ingot.settings.load import load


def settings_of(preset="tiny", **overrides):
    """Load a preset, and lay the overrides over it, as config.yaml would."""
    return load({"preset": preset, **overrides}, ROOT)
