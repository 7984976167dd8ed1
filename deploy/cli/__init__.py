"""The command `yekbar`: one module a command, each with `app`; loaded only when it is called."""
