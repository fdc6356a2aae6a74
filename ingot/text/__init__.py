"""Texts: normal forms, shingles, signatures, chat templates, token counts, checkers of answers."""
