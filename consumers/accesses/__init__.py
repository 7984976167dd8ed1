"""Accesses: who asked what about whom, on which ground, and what became of it. Append-only; holds no claim's value."""
