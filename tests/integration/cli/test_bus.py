"""The commands and a bus that is away, empty, or not as planned."""

import asyncio
import json

import pytest
from nats.js import JetStreamContext
from nats.js.api import StreamConfig

from cli.bus import BusDown, connected
from cli.embedded.plan import overlaid_plan, site_plan
from cli.site import Access, Site
from shared.messaging.provision import provision
from tests.integration.cli.conftest import Causeway
from tests.support.nats import NatsServer

TARGETS = {"target": ["onsite", "other"]}


def on(server: NatsServer, work) -> object:
    """What ``work`` gets from the server's JetStream."""

    async def run() -> object:
        async with server.jetstream() as jetstream:
            return await work(jetstream)

    return asyncio.run(run())


def test_status_shows_what_it_can_and_says_what_it_cannot(causeway: Causeway, nats_server: NatsServer) -> None:
    nats_server.kill()
    told = causeway("status", "--json")
    document = json.loads(told.stdout)
    assert told.exit_code == 1
    assert document["endpoints"]["nats"] == nats_server.url
    for section in ("studies", "copies", "destinations", "receivers", "messages", "consumers", "dead_letters"):
        assert "does not answer" in document[section]["error"]
    shown = causeway("status")
    assert shown.exit_code == 1
    assert shown.stdout.count("not answered: ") == 7
    assert "not answered: studies, copies, destinations, receivers, messages, consumers, dead_letters" in shown.stderr


def test_status_names_the_stream_that_is_missing(causeway: Causeway) -> None:
    document = json.loads(causeway("status", "--json").stdout)
    assert "no stream DEADLETTERS" in document["dead_letters"]["error"]


@pytest.mark.parametrize("words", [("deadletters", "list"), ("replay", "deid", "--from", "1"), ("provision",)])
def test_a_bus_that_is_away_is_one_clear_error(
    causeway: Causeway, nats_server: NatsServer, words: tuple[str, ...]
) -> None:
    nats_server.kill()
    told = causeway(*words)
    assert told.exit_code == 1
    assert told.stderr.startswith("error: the bus does not answer (")
    assert told.stderr.count("\n") == 1


async def test_a_bus_that_goes_away_in_between_is_down_too(nats_server: NatsServer) -> None:
    with pytest.raises(BusDown):
        async with connected(nats_server.url) as jetstream:
            nats_server.kill()
            await jetstream.stream_info("IMAGING")


async def test_a_wrong_password_is_told(nats_server: NatsServer) -> None:
    nats_server.kill()
    nats_server.configure('authorization { user: "operator", password: "only-for-tests" }')
    nats_server.start()
    with pytest.raises(BusDown, match=r"Authorization|reset"):
        async with connected(nats_server.url, Access(bus_user="operator", bus_password="wrong")):
            pass


def test_a_replay_says_which_consumer_is_missing(causeway: Causeway, nats_server: NatsServer) -> None:
    async def lose_one(jetstream: JetStreamContext) -> None:
        await provision(jetstream, site_plan(), TARGETS)
        await jetstream.delete_consumer("IMAGING", "deid_pack_planned")

    on(nats_server, lose_one)
    told = causeway("replay", "deid", "--from", "1")
    assert told.exit_code == 1
    assert "the bus has no consumer deid_pack_planned" in told.stderr


@pytest.mark.parametrize("words", [("replay", "deid", "--from", "1"), ("provision",)])
def test_missing_targets_are_told(causeway: Causeway, site: Site, words: tuple[str, ...]) -> None:
    site.targets.unlink()
    told = causeway(*words)
    assert told.exit_code == 1
    assert f"{site.targets} cannot be read: No such file" in told.stderr


def test_provisioned_with_an_overlay_the_command_changes_nothing(
    causeway: Causeway, site: Site, nats_server: NatsServer
) -> None:
    site.streams.write_text('IMAGING: {max_age: 90d, max_bytes: 1GiB}\n"*": {max_bytes: 512MiB}\n')
    on(nats_server, lambda jetstream: provision(jetstream, overlaid_plan(site.streams), TARGETS))
    told = causeway("provision", "--json")
    assert told.exit_code == 0, told.output
    assert {change["how"] for change in json.loads(told.stdout)} == {"kept"}
    assert told.stderr == ""


def test_what_operations_widened_is_narrowed_only_on_demand(causeway: Causeway, nats_server: NatsServer) -> None:
    """Less age or room drops messages."""

    async def widen(jetstream: JetStreamContext) -> None:
        await provision(jetstream, site_plan(), TARGETS)
        config = (await jetstream.stream_info("IMAGING")).config
        await jetstream.update_stream(StreamConfig(**{**vars(config), "max_age": 0, "max_bytes": 8 * 2**30}))

    async def limits(jetstream: JetStreamContext) -> tuple[float | None, int | None]:
        config = (await jetstream.stream_info("IMAGING")).config
        return config.max_age or 0, config.max_bytes

    on(nats_server, widen)
    told = causeway("provision")
    assert told.exit_code == 0
    assert "IMAGING keeps max_bytes 8589934592: only --lower makes it 4294967296" in told.stderr
    assert on(nats_server, limits) == (0, 8 * 2**30)
    assert causeway("provision", "--lower").exit_code == 0
    assert on(nats_server, limits) == (30 * 86400, 4 * 2**30)


@pytest.mark.parametrize(
    ("overlay", "why"),
    [
        ("IMAGING: {subjects: [all]}", "subjects is fixed by the contract"),
        ("IMGAING: {max_age: 1d}", "there is no stream IMGAING"),
        ("IMAGING: {max_age: soon}", "not a quantity: soon"),
        ("- IMAGING", "expected settings by stream"),
        ("a: b: c", "no YAML"),
    ],
)
def test_a_wrong_overlay_is_refused(causeway: Causeway, site: Site, overlay: str, why: str) -> None:
    site.streams.write_text(overlay)
    told = causeway("provision")
    assert told.exit_code == 1
    assert f"{site.streams}: " in told.stderr and why in told.stderr
