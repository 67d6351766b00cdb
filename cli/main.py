"""``causeway``: run a site, send to it, and see what became of every object.

A module is imported when its command is asked for: importing all of them, with nearly all of what the services are made
of, takes longer than most commands.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, cast

import typer
from typer.core import TyperGroup
from typer.main import get_command

from shared.observability.logs import configure_logs

#: Where each command is, in the order in which help tells of them: a function, or a group of commands.
COMMANDS: Mapping[str, str] = {
    "up": "lifecycle:up",
    "down": "lifecycle:down",
    "stop": "processes:stop",
    "start": "processes:start",
    "send": "send:command",
    "deidentify": "deidentify:command",
    "hl7": "hl7_messages:app",
    "status": "studies:status",
    "wait": "studies:wait",
    "where": "studies:where",
    "fetch": "fetch:fetch",
    "trace": "trace:command",
    "replay": "streams:replay",
    "replan": "routing:replan",
    "overdue": "routing:overdue",
    "commitments": "routing:commitments",
    "verify": "routing:verify",
    "destinations": "destinations:app",
    "deadletters": "deadletters:app",
    "matches": "matches:app",
    "quarantine": "quarantine:app",
    "reidentify": "deid:reidentify",
    "deid": "deid:app",
    "provision": "streams:provision",
    "demo": "demo:command",
}


class _Commands(TyperGroup):
    """The commands of ``COMMANDS``. Typer has no name of its own for the types of contexts and commands."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name].split(":")
        found = getattr(import_module(f"cli.{module}"), attribute)
        around = typer.Typer(add_completion=False)
        around.callback()(_nothing)
        if isinstance(found, typer.Typer):
            around.add_typer(found, name=cmd_name)
        else:
            around.command(cmd_name)(found)
        return cast(TyperGroup, get_command(around)).commands[cmd_name]


def _nothing() -> None:
    """What is done before a command."""


app = typer.Typer(
    name="causeway",
    cls=_Commands,
    help="Causeway takes a hospital's images from modalities to proven, encrypted copies in several clouds.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.callback()(_nothing)


def main() -> None:
    """The entry point; the exit status is 0 only for success. Logs go to standard error: they are no output."""
    configure_logs("cli", "WARNING")
    app()


if __name__ == "__main__":
    main()
