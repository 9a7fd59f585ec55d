"""Towers that can be trained: where they start, which weights learn, how they are kept."""
