"""``causeway wait`` outlasts a bus that is away."""

from typing import Any

from cli.api import Api
from cli.site import Site
from cli.waiting import State, Waiting, look
from tests.support.nats import NatsServer


class Empty(Api):
    """A site's API with nothing in its spool and no study."""

    def __init__(self) -> None:
        pass

    def get(self, path: str, **query: str | int) -> Any:
        return {"batches": 0} if path == "/api/spool" else {"studies": [], "without_study": {"batches_open": 0}}


def test_while_the_bus_is_away_or_empty_the_wait_goes_on(site: Site, nats_server: NatsServer) -> None:
    waiting = Waiting(site, Empty(), None, State.archived)
    (told,) = look(waiting)
    assert "the bus has no stream IMAGING" in told
    nats_server.kill()
    (told,) = look(waiting)
    assert "the bus does not answer" in told
