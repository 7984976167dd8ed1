"""The entry of the command `yekbar`: finds the command's module, and tells errors to the person at the terminal."""

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from bus.telemetry import configure_logging
from deploy.cli.output import INTERRUPTED, tell_error

# The command's name is its module's name in this package; the line is what `yekbar --help` says of it.
COMMANDS: Mapping[str, str] = {
    "up": "Start the local stack: Kafka, PostgreSQL and the schema registry.",
    "down": "Stop the local stack; its data stays.",
    "status": "Show how far each view is, what is in quarantine, and which services are document-free.",
    "env": "Print the connection settings as shell exports.",
    "catalogue": "Check contracts and agreements, and put them into force.",
    "registry": "Serve the schema registry (Confluent REST API).",
    "onboard": "Look at an agency's table, and propose its record type and mapping.",
    "publish": "Publish a file's rows as events of a record type.",
    "gateway": "Take changes of agencies over HTTP.",
    "relay": "Bring changes from an agency's outbox onto the bus.",
    "sync": "Publish an agency's table, and what changes in it; read-only access is enough.",
    "materialize": "Keep the views equal to the log.",
    "source": "List what each source says of itself; retire one that is gone.",
    "serve": "Serve the evidence API.",
    "evidence": "Ask for the evidence that a procedure requires.",
    "agency": "Let agencies into the brokers, each to its own topics.",
    "agreement": "Propose, accept, suspend, resume or revoke agreements, and list them.",
    "audit": "Replay the log, compare it with the views, list accesses.",
    "quality": "List what quality rules found, by agency and rule, and what is open still.",
    "quarantine": "List, show, redrive or discard events that could not be applied.",
    "token": "Issue a development token for an agency.",
    "demo": "Show the whole way with nine agencies of a small nation.",
}


class Commands(TyperGroup):
    """The commands, each imported when it is called: `yekbar --help` loads none of them."""

    def list_commands(self, _: Any) -> list[str]:
        """The names, in the order of a first encounter."""
        return list(COMMANDS)

    def get_command(self, _: Any, cmd_name: str) -> Any:
        """A stand-in that has the command's help line, for listing."""
        return TyperCommand(cmd_name, help=COMMANDS[cmd_name]) if cmd_name in COMMANDS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that is called, from its own module."""
        name, _, rest = super().resolve_command(ctx, args)
        command = typer.main.get_command(import_module(f"deploy.cli.{name}").app)
        return name, command, rest


app = typer.Typer(cls=Commands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def yekbar() -> None:
    """Yekbar (یک‌بار, "once"): agencies publish each change once; services fetch evidence; auditors replay.

    Start with `yekbar demo`, or with `yekbar up`.
    """


def main() -> None:
    """Runs a command; an error we know is one clear message and its exit code, never a trace."""
    configure_logging()
    try:
        sys.exit(app(standalone_mode=False))  # the code of a typer.Exit; None, from a command that is done, is 0
    except Exception as exc:
        sys.exit(tell_error(exc))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
