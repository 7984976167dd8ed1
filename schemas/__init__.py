"""Contracts as data: the reference profile. A package only so that `importlib.resources` finds the files; no logic."""
