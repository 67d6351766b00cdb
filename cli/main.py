"""``causeway``: run a site, send to it, and see what became of every object."""

import typer

from cli import (
    deadletters,
    deid,
    deidentify,
    demo,
    destinations,
    fetch,
    hl7_messages,
    lifecycle,
    matches,
    quarantine,
    routing,
    send,
    streams,
    studies,
    trace,
)
from shared.observability.logs import configure_logs

app = typer.Typer(
    name="causeway",
    help="Causeway takes a hospital's images from modalities to proven, encrypted copies in several clouds.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

app.command()(lifecycle.up)
app.command()(lifecycle.down)
app.command("stop")(lifecycle.stop)
app.command("start")(lifecycle.start_one)
app.command("send")(send.command)
app.command("deidentify")(deidentify.command)
app.add_typer(hl7_messages.app, name="hl7")
app.command()(studies.status)
app.command()(studies.wait)
app.command()(studies.where)
app.command()(fetch.fetch)
app.command("trace")(trace.command)
app.command()(streams.replay)
app.command()(routing.replan)
app.command()(routing.overdue)
app.command()(routing.commitments)
app.command()(routing.verify)
app.add_typer(destinations.app, name="destinations")
app.add_typer(deadletters.app, name="deadletters")
app.add_typer(matches.app, name="matches")
app.add_typer(quarantine.app, name="quarantine")
app.command()(deid.reidentify)
app.add_typer(deid.app, name="deid")
app.command()(streams.provision)
app.command("demo")(demo.command)


def main() -> None:
    """The entry point; the exit status is 0 only for success. Logs go to standard error: they are no output."""
    configure_logs("cli", "WARNING")
    app()


if __name__ == "__main__":
    main()
