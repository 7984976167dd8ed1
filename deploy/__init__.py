"""Deploy: the command `yekbar` (composition root), the embedded local stack, and the demonstration."""
