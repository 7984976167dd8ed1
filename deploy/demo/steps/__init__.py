"""The steps of the story: each a small function that does something, shows it, and says what it expects."""
