"""The one error that is meant for a person."""


class InputError(Exception):
    """Something that the user gave is wrong. The message says where, what was expected, and what to do."""
