"""``causeway deadletters``: messages that were given up, to be looked at and decided on."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import typer
from nats.js import JetStreamContext

from cli.bus import ask
from cli.options import Data, Json, site_of
from cli.output import emit_json, fail, say, table, warn
from shared.messaging import deadletters as letters

app = typer.Typer(help="Messages that were given up, with the reason.", no_args_is_help=True)

Number = Annotated[int, typer.Argument(help="The number that `deadletters list` shows.")]
OneNumber = Annotated[int | None, typer.Argument(help="One dead letter; without it say --all.")]
Everything = Annotated[bool, typer.Option("--all", help="Every dead letter.")]


@app.command("list")
def list_letters(
    data: Data = None,
    service: Annotated[str | None, typer.Option(help="Only those of one service.")] = None,
    as_json: Json = False,
) -> None:
    """List dead letters, oldest first."""

    async def work(jetstream: JetStreamContext) -> list[dict[str, object]]:
        return [letters.shown(letter) async for letter in letters.every(jetstream, service=service)]

    found = ask(site_of(data), work)
    if as_json:
        emit_json(found)
        return
    columns = ("number", "service", "subject", "reason", "error_class", "attempts", "time")
    table("Dead letters", columns, [tuple(letter[name] for name in columns) for letter in found])


@app.command("show")
def show_letter(number: Number, data: Data = None, as_json: Json = False) -> None:
    """Show a dead letter with its body; a body that is no JSON as base64."""
    letter = ask(site_of(data), lambda jetstream: letters.show(jetstream, number))
    if letter is None:
        fail(f"there is no dead letter {number}")
    document = {**letters.shown(letter), "body": letters.body_of(letter)}
    if as_json:
        emit_json(document)
    else:
        table(f"Dead letter {number}", ("what", "value"), document.items())


@app.command("retry")
def retry_letters(
    data: Data = None, number: OneNumber = None, everything: Everything = False, as_json: Json = False
) -> None:
    """Give a dead letter, or all, to its consumer again, and to no other. One whose consumer is gone stays."""
    _each(data, number, everything, as_json, letters.retry, "given back")


@app.command("discard")
def discard_letters(
    data: Data = None, number: OneNumber = None, everything: Everything = False, as_json: Json = False
) -> None:
    """Remove a dead letter, or all, for good."""
    _each(data, number, everything, as_json, letters.discard, "discarded")


def _each(
    data: Data,
    number: int | None,
    everything: bool,
    as_json: bool,
    act: Callable[[JetStreamContext, int], Coroutine[Any, Any, bool]],
    done: str,
) -> None:
    if everything == (number is not None):
        fail("say either a number or --all", status=2)

    acted, refused = ask(site_of(data), lambda jetstream: _act(jetstream, number, act))
    if number is not None and not acted and not refused:
        fail(f"there is no dead letter {number}")
    if as_json:
        emit_json({done.replace(" ", "_"): acted, "refused": [{"number": n, "why": w} for n, w in refused.items()]})
    else:
        say(f"{len(acted)} {done}")
    for refusal in refused.items():
        warn("dead letter {} stays: {}".format(*refusal))
    if refused:
        raise typer.Exit(1)


async def _act(
    jetstream: JetStreamContext, number: int | None, act: Callable[[JetStreamContext, int], Coroutine[Any, Any, bool]]
) -> tuple[list[int], dict[int, str]]:
    """The numbers that were acted on, and why others were not; all letters without a ``number``."""
    numbers = [letter.number async for letter in letters.every(jetstream)] if number is None else [number]
    acted, refused = [], {}
    for one in numbers:
        try:
            if await act(jetstream, one):
                acted.append(one)
        except letters.ConsumerGone as error:
            refused[one] = str(error)
    return acted, refused
