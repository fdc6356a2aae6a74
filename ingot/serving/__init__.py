"""Serve a release: routes, lanes, keys and limits behind an interface that OpenAI's clients speak."""
