"""Peers as Hypothesis makes them: a greeting, messages in fragments in units, and each of these told wrongly."""

from dataclasses import replace

from hypothesis import strategies as st

from tests.fuzz import wire
from tests.fuzz.data_sets import encoded
from tests.fuzz.wire import CONTEXTS, STORING, Greeting, Value, fragments, pdu
from tests.unit.dicom_ingest.test_steps import begun, data_set

_NUMBERS = st.sampled_from([0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 13, 100, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF])
_TITLES = st.sampled_from([b"FUZZ", b"", b" " * 16, b"\0" * 16, b"\xff\xfe" * 8, b"A\nB", b"\x1b[31m", b"A\\B"])
#: A report on a step that begins.
BEGUN = data_set(**begun())
_UIDS = st.sampled_from([b"", b"1.2.3", b"..", b"1." * 32, b"1" * 65, b"\xff", b"Doe^John", b"1.2.3\0", b"1.2\0.3"])


@st.composite
def contexts(draw: st.DrawFn) -> tuple[bytes, ...]:
    """The proposed contexts: those of well-made greetings, with one of them broken, left out, or told twice."""
    found = list(Greeting().contexts)
    number = draw(st.integers(0, 255))
    odd = wire.context(number, draw(_UIDS | st.just(wire.CT.encode())), *draw(st.lists(_UIDS, max_size=2)))
    at = draw(st.integers(0, len(found) - 1))
    how = draw(st.sampled_from(["odd", "instead", "twice", "left out", "cut", "long"]))
    if how == "odd":
        found.append(odd)
    elif how == "instead":
        found[at] = odd
    elif how == "twice":
        found.append(found[at])
    elif how == "left out":
        del found[at]
    elif how == "cut":
        found[at] = found[at][: draw(st.integers(0, len(found[at])))]
    else:
        found[at] = wire.item(0x20, found[at][4:], draw(_NUMBERS))
    return tuple(found)


@st.composite
def user_items(draw: st.DrawFn) -> tuple[bytes, ...]:
    """What else a requestor says of itself (PS3.7 annex D.3.3), right or wrong."""
    kind = st.sampled_from([0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x00, 0xFF])
    value = st.binary(max_size=20) | _UIDS
    return tuple(wire.item(draw(kind), draw(value), draw(st.none() | _NUMBERS)) for _ in range(draw(st.integers(0, 3))))


@st.composite
def greetings(draw: st.DrawFn) -> bytes:
    """An A-ASSOCIATE-RQ, mostly as it should be."""
    greeting = Greeting(longest=draw(st.sampled_from([16384, 16384, 0, 7, 128, 0xFFFFFFFF])))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        change = st.one_of(
            contexts().map(lambda found: {"contexts": found}),
            _TITLES.map(lambda title: {"calling": title}),
            _TITLES.map(lambda title: {"called": title}),
            _UIDS.map(lambda uid: {"application": uid}),
            _NUMBERS.map(lambda longest: {"longest": longest}),
            st.sampled_from([0, 2, 0xFFFF]).map(lambda version: {"version": version}),
            user_items().map(lambda found: {"user_items": found}),
        )
        greeting = replace(greeting, **draw(change))
    return pdu(wire.A_ASSOCIATE_RQ, greeting.body(), draw(st.sampled_from([None] * 15 + [0, 67, 68, 0xFFFFFFFF])))


@st.composite
def commands(draw: st.DrawFn, elements: dict[int, bytes]) -> bytes:
    """A command set, mostly as it should be."""
    changed = dict(elements)
    how = draw(st.sampled_from(["as it is"] * 6 + ["value", "left out", "number", "length", "group", "cut", "twice"]))
    which = draw(st.sampled_from(sorted(elements)))
    if how == "value":
        changed[which] = draw(_UIDS | st.binary(max_size=6) | st.just(b"x" * 17_000))
    elif how == "left out":
        del changed[which]
    elif how == "number":
        changed[which] = wire.us(draw(st.sampled_from([0, 1, 0x0101, 0x0FFF, 0x0020, 0x8001, 0x8100, 0x0110, 0xFFFF])))
    encoded_set = wire.command_set(changed)
    if how == "length":
        encoded_set += wire.command_element(which, b"abc", draw(_NUMBERS))
    elif how == "group":
        encoded_set += wire.command_element(which, b"ab", group=draw(st.integers(1, 0xFFFF)))
    elif how == "cut":
        encoded_set = encoded_set[: draw(st.integers(0, len(encoded_set)))]
    elif how == "twice":
        encoded_set += wire.command_element(which, draw(st.binary(max_size=4)))
    return encoded_set


@st.composite
def messages(draw: st.DrawFn, message_id: int) -> list[Value]:
    """A request in fragments: mostly an instance that is to be stored."""
    size = draw(st.sampled_from([10_000, 10_000, 100, 17, 1]))
    if draw(st.integers(0, 7)) == 0:
        command = draw(commands(wire.echo_elements(message_id)))
        return fragments(draw(st.sampled_from([1, 1, 3, 2])), command, size, is_command=True)
    if draw(st.integers(0, 7)) == 0:
        command = draw(commands(wire.action_elements(message_id)))
        data = draw(encoded(wire.EXPLICIT))
        return fragments(13, command, size, is_command=True) + fragments(13, data, 10_000, is_command=False)
    if draw(st.integers(0, 7)) == 0:
        field = draw(st.sampled_from([wire.N_CREATE, wire.N_CREATE, wire.N_SET]))
        command = draw(commands(wire.step_elements(message_id, field, draw(st.sampled_from(["1.2.8", "1.2.9"])))))
        data = draw(st.just(BEGUN) | encoded(wire.EXPLICIT))
        return fragments(15, command, size, is_command=True) + fragments(15, data, 10_000, is_command=False)
    number = draw(st.sampled_from([*STORING, *STORING, 1, 13, 15]))
    sop_class = draw(st.sampled_from([CONTEXTS[number][0], CONTEXTS[number][0], wire.CT, wire.VERIFICATION]))
    command = draw(commands(wire.store_elements(message_id, f"1.2.3.{message_id}", sop_class)))
    data = draw(encoded(CONTEXTS[number][1]))
    size_of_data = draw(st.sampled_from([10_000, 1000, 50, max(1, len(data) // 3)]))
    return fragments(number, command, size, is_command=True) + fragments(number, data, size_of_data, is_command=False)


@st.composite
def disordered(draw: st.DrawFn, values: list[Value]) -> list[Value]:
    """The fragments with one of them left out, repeated, moved, or told wrongly."""
    at, other = (draw(st.integers(0, len(values) - 1)) for _ in range(2))
    how = draw(st.sampled_from(["left out", "twice", "swapped", "control", "context", "length", "stray"]))
    changed = list(values)
    if how == "left out":
        del changed[at]
    elif how == "twice":
        changed.insert(at, values[at])
    elif how == "swapped":
        changed[at], changed[other] = values[other], values[at]
    elif how == "control":
        changed[at] = replace(values[at], control=draw(st.integers(0, 255)))
    elif how == "context":
        changed[at] = replace(values[at], context=draw(st.integers(0, 15)))
    elif how == "length":
        changed[at] = replace(values[at], length=draw(_NUMBERS))
    else:
        changed.insert(at, Value(draw(st.integers(0, 15)), draw(st.integers(0, 3)), draw(st.binary(max_size=20))))
    return changed


@st.composite
def units(draw: st.DrawFn, values: list[Value]) -> list[bytes]:
    """The fragments in P-DATA-TF units, one or several in each."""
    together = draw(st.sampled_from([1, 1, 2, 5]))
    bodies = [
        b"".join(value.encode() for value in values[at : at + together]) for at in range(0, len(values), together)
    ]
    return [pdu(wire.P_DATA, body) for body in bodies]


ENDS = st.sampled_from(
    [pdu(wire.A_RELEASE_RQ, bytes(4))] * 4
    + [pdu(wire.A_ABORT, bytes(4)), b"", b"\x04\0", pdu(wire.P_DATA, b"", 1000), pdu(wire.A_RELEASE_RQ, bytes(4)) * 2]
)
_INTRUDERS = st.one_of(
    st.sampled_from([Greeting().encode(), pdu(2, bytes(80)), pdu(3, bytes(4)), pdu(6, bytes(4)), pdu(4, b"")]),
    st.builds(pdu, st.integers(0, 255), st.binary(max_size=12), st.none() | _NUMBERS),
)


@st.composite
def conversations(draw: st.DrawFn) -> bytes:
    """Everything that a peer sends over one connection, mostly making sense."""
    values = [value for number in range(1, draw(st.integers(1, 4)) + 1) for value in draw(messages(number))]
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        values = draw(disordered(values)) if values else values
    sent = [draw(greetings()), *draw(units(values))]
    if draw(st.integers(0, 5)) == 0:
        sent.insert(draw(st.integers(0, len(sent))), draw(_INTRUDERS))
    return b"".join([*sent, draw(ENDS)])


@st.composite
def mutated(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """A seed with some of its bytes changed, left out, repeated or put in."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        size = draw(st.sampled_from([1, 1, 2, 4, 16]))
        how = draw(st.sampled_from(["changed", "told", "left out", "repeated", "put in"]))
        if how == "changed":
            data[at : at + size] = draw(st.binary(min_size=size, max_size=size))
        elif how == "told":
            data[at : at + size] = (draw(_NUMBERS) & ((1 << 8 * size) - 1)).to_bytes(
                size, draw(st.sampled_from(["big", "little"]))
            )
        elif how == "left out":
            del data[at : at + size]
        elif how == "repeated":
            data[at:at] = data[at : at + size]
        else:
            data[at:at] = draw(st.binary(max_size=8))
    return bytes(data)
