"""Conversations that are as they should be, for mutations; and those that broke something once."""

from pathlib import Path

from pydicom import Dataset

from tests.fuzz import wire
from tests.fuzz.data_sets import deflate
from tests.fuzz.wire import CONTEXTS
from tests.support.instances import make_instances
from tests.unit.dicom_ingest.data_sets import encode, shipped_samples
from tests.unit.dicom_ingest.test_steps import begun, data_set

FOLDER = Path(__file__).with_name("seeds")
RELEASE = wire.pdu(wire.A_RELEASE_RQ, bytes(4))


def conversation(*stores: tuple[int, bytes], greeting: bytes | None = None) -> bytes:
    """A peer that stores data sets, each in a context, and releases."""
    sent = [greeting or wire.Greeting().encode()]
    for number, (context, data) in enumerate(stores, start=1):
        command = wire.command_set(wire.store_elements(number, f"1.2.3.{number}", CONTEXTS[context][0]))
        sent += [
            wire.pdu(wire.P_DATA, value.encode())
            for value in (
                *wire.fragments(context, command, 16_000, is_command=True),
                *wire.fragments(context, data, 16_000, is_command=False),
            )
        ]
    return b"".join([*sent, RELEASE])


def echo() -> bytes:
    """A peer that verifies and releases."""
    (value,) = wire.fragments(1, wire.command_set(wire.echo_elements(1)), 16_000, is_command=True)
    return wire.Greeting().encode() + wire.pdu(wire.P_DATA, value.encode()) + RELEASE


def commitment() -> bytes:
    """A peer that asks for commitment and releases."""
    asked, item = Dataset(), Dataset()
    asked.TransactionUID, item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = "1.2.9", wire.CT, "1.2.3.1"
    asked.ReferencedSOPSequence = [item]
    values = wire.fragments(13, wire.command_set(wire.action_elements(1)), 16_000, is_command=True)
    values += wire.fragments(13, encode(asked, wire.EXPLICIT), 16_000, is_command=False)
    return wire.Greeting().encode() + wire.pdu(wire.P_DATA, b"".join(map(wire.Value.encode, values))) + RELEASE


def step() -> bytes:
    """A peer that tells of a procedure step, from its beginning to its end, and releases."""
    values: list[wire.Value] = []
    reports = ((wire.N_CREATE, begun()), (wire.N_SET, {"PerformedProcedureStepStatus": "DISCONTINUED"}))
    for number, (field, said) in enumerate(reports, start=1):
        command = wire.command_set(wire.step_elements(number, field, "1.2.8"))
        values += wire.fragments(15, command, 16_000, is_command=True)
        values += wire.fragments(15, data_set(**said), 16_000, is_command=False)
    return wire.Greeting().encode() + wire.pdu(wire.P_DATA, b"".join(map(wire.Value.encode, values))) + RELEASE


def well_made() -> list[bytes]:
    """One of each kind."""
    (image,) = make_instances(1, rows=8, study_uid="1.2.3.4", series_uid="1.2.3.5")
    image.SOPInstanceUID, image.FrameOfReferenceUID = "1.2.3.1", "1.2.3.6"
    plain = encode(image, wire.EXPLICIT)
    stores = [
        ((3, plain),),
        ((5, encode(image, wire.IMPLICIT)), (7, encode(image, wire.BIG))),
        ((9, deflate(plain)), (3, plain)),
    ]
    return [echo(), commitment(), step(), *(conversation(*each) for each in stores)]


def shipped(longest: int = 12_000) -> list[bytes]:
    """A conversation for each small file that comes with pydicom, in the context of its syntax."""
    contexts = {syntax: number for number, (_abstract, syntax) in CONTEXTS.items() if number in wire.STORING}
    return [
        conversation((contexts[sample.transfer_syntax], sample.data))
        for sample in shipped_samples()
        if len(sample.data) <= longest and sample.transfer_syntax in contexts
    ]


def broke_something() -> dict[str, bytes]:
    """The conversations that broke something, by the name of their file: one sentence, then hexadecimal digits."""
    return {path.stem: bytes.fromhex(path.read_text().partition("\n")[2]) for path in sorted(FOLDER.glob("*.txt"))}
