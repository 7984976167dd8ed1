"""Agreements as they live: what the catalogue says, and every change that both sides made since."""
