"""The running service with either receiver: hostile peers get an answer or an abort, and no Success is a lie."""

import socket
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import sha256

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz import wire
from tests.fuzz.budget import FACTOR, IS_NORMAL
from tests.fuzz.hall import ABORTED, REJECTED, RELEASED, true_successes
from tests.fuzz.peers import conversations, mutated
from tests.fuzz.seeds import broke_something, echo, shipped, well_made
from tests.integration.dicom_ingest.conftest import site  # noqa: F401 - the fixture
from tests.integration.dicom_ingest.site import MEMORY_BOUND, RECEIVERS, IngestSite

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.parametrize("site", RECEIVERS, indirect=True),
]

EXAMPLES, AT_ONCE = 12, 8
PEERS = st.lists(conversations() | mutated(well_made() + shipped()), min_size=AT_ONCE, max_size=AT_ONCE)
#: How long a peer waits for each answer, and when it was forgotten, seconds.
_PATIENCE, _FORGOTTEN = 0.5, 30.0
#: (SOP instance UID, digest of the data set), how often.
Instances = Counter[tuple[str, str]]


class Talk:
    """One connection, and all that was answered on it."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection, self.answered, self.is_over = connection, b"", False

    def send(self, sent: bytes) -> None:
        """Send if anybody is still there."""
        with suppress(OSError):
            self.connection.sendall(sent)

    def hear(self, enough: Callable[[bytes], bool], patience: float) -> None:
        """Until that is enough, the other side has closed, or so many seconds have passed."""
        deadline = time.monotonic() + patience
        while not (self.is_over or enough(self.answered)) and (left := deadline - time.monotonic()) > 0:
            self.connection.settimeout(left)
            try:
                part = self.connection.recv(65536)
            except TimeoutError:
                return
            except ConnectionError:
                # It was aborted while it was still sending: what had been answered may be gone with it.
                part = b""
            self.answered, self.is_over = self.answered + part, not part


def is_told_the_end(answered: bytes) -> bool:
    """Whether the peer was released, aborted or turned down, and closes."""
    return bool({kind for kind, _body in wire.split_pdus(answered)} & {RELEASED, ABORTED, REJECTED})


def talk(port: int, sent: bytes, patience: float = _PATIENCE) -> bytes:
    """Say it as peers do: the greeting, then requests, then the end, each after the answer to what was before.

    All that was answered until it was over; AssertionError when it never was. ``patience`` is for each answer, seconds.
    """
    greeting, requests, end = wire.acts(sent)
    with socket.create_connection(("127.0.0.1", port), timeout=_FORGOTTEN) as connection:
        talk = Talk(connection)
        talk.send(greeting)
        talk.hear(lambda answered: len(wire.split_pdus(answered)) > 0, patience)
        talk.send(requests)
        asked = wire.read(sent).finished
        talk.hear(lambda answered: len(wire.split_pdus(answered)) > asked, patience)
        talk.send(end)
        talk.hear(is_told_the_end, _FORGOTTEN)
    assert talk.is_over or is_told_the_end(talk.answered), "a peer that was neither answered nor cut off"
    return talk.answered


def instances(told: list[wire.Told]) -> Instances:
    """Of each instance how often it was sent."""
    return Counter((each.uid, sha256(each.data).hexdigest()) for each in told)


def is_answered(answered: bytes) -> bool:
    """Whether a C-ECHO succeeded, and the association was released."""
    (accepted, *values, released) = wire.split_pdus(answered)
    (told,) = (wire.read_command(value.data) or {} for _kind, body in values for value in wire.read_values(body))
    return (accepted[0], told[0x0100], told[0x0900], released[0]) == (2, wire.us(0x8030), wire.us(0), 6)


async def test_no_conversation_breaks_the_service_or_is_acknowledged_for_nothing(site: IngestSite) -> None:  # noqa: F811
    site.start(
        artim=1.0,
        pdu_header_deadline=1.0,
        idle_timeout=1.0,
        min_throughput=1_000_000,
        max_associations=100,
        max_associations_per_address=90,
    )
    acknowledged: Instances = Counter()
    sent_wholly: Instances = Counter()
    for seed in broke_something().values():
        _try(site, [seed], acknowledged, sent_wholly)

    @settings(
        max_examples=int(EXAMPLES * FACTOR),
        phases=[Phase.generate],  # a smaller example would take minutes to be found
        deadline=None,
        derandomize=IS_NORMAL,
        suppress_health_check=list(HealthCheck),
    )
    @given(PEERS)
    def any_peers(peers: list[bytes]) -> None:
        _try(site, peers, acknowledged, sent_wholly)

    any_peers()
    landed = await site.landed(acknowledged.total(), timeout=60)
    await site.spool_is_empty()
    landed = await site.landed(acknowledged.total())
    found = Counter(
        (each.sop_instance_uid, each.dataset_sha256) for batch in landed for each in batch.manifest.instances
    )
    assert acknowledged <= found
    assert found <= sent_wholly
    assert site.peak_bytes() < MEMORY_BOUND
    assert "Traceback" not in site.log()
    assert "John" not in site.log(), "what a peer said stands in the log"


def _try(site: IngestSite, peers: list[bytes], acknowledged: Instances, sent_wholly: Instances) -> None:  # noqa: F811
    """Several at a time; then somebody says hello."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda sent: talk(site.port, sent), peers))
    for sent, answered in zip(peers, answers, strict=True):
        try:
            acknowledged.update(instances(true_successes(sent, answered)))
        except AssertionError as error:
            error.add_note(f"{sent.hex()}\nwas answered\n{answered.hex()}")
            raise
        sent_wholly.update(instances(wire.complete_stores(sent)))
    assert is_answered(talk(site.port, echo(), _FORGOTTEN)), "nobody answers a C-ECHO any more"
