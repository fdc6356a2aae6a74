"""The chat page: conversations with a server of a release, kept as plain files."""
