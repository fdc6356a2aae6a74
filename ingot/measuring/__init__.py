"""How good a model is: answers judged, compared in pairs, with intervals and tests."""
