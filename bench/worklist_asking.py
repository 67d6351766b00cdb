"""A modality that only counts: a C-FIND over an open association, until its last response."""

import socket
import struct
from types import TracebackType
from typing import Any

from pydicom import Dataset
from pynetdicom.dsutils import encode

from shared.dimse import HEADER, accepted, command, fragments, greeting, response, send, values

FIND, EXPLICIT = "1.2.840.10008.5.1.4.31", "1.2.840.10008.1.2.1"
_SUCCESS, _PENDING = 0x0000, (0xFF00, 0xFF01)


#: What is asked for at the top, and of the step.
TOP = (
    "AccessionNumber",
    "ReferringPhysicianName",
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "PatientWeight",
    "MedicalAlerts",
    "Allergies",
    "PatientState",
    "SpecialNeeds",
    "AdmissionID",
    "CurrentPatientLocation",
    "StudyInstanceUID",
    "RequestingPhysician",
    "RequestedProcedureDescription",
    "RequestedProcedureID",
    "RequestedProcedurePriority",
    "PatientTransportArrangements",
    "ConfidentialityConstraintOnPatientDataDescription",
)
STEP = (
    "Modality",
    "ScheduledStationAETitle",
    "ScheduledProcedureStepStartDate",
    "ScheduledProcedureStepStartTime",
    "ScheduledPerformingPhysicianName",
    "ScheduledProcedureStepDescription",
    "ScheduledStationName",
    "ScheduledProcedureStepLocation",
    "ScheduledProcedureStepID",
    "PreMedication",
)


def wanted(**keys: str) -> Dataset:
    """What a scanner asks for, some thirty return keys; ``keys`` of the step are matched."""
    asked, step, code = Dataset(), Dataset(), Dataset()
    for name in TOP:
        setattr(asked, name, "")
    asked.PregnancyStatus, asked.ReferencedStudySequence = None, []
    for name in STEP:
        setattr(step, name, keys.get(name, ""))
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "", "", ""
    step.ScheduledProtocolCodeSequence, asked.RequestedProcedureCodeSequence = [code], [code]
    asked.ScheduledProcedureStepSequence = [step]
    return asked


def encoded(identifier: Dataset) -> bytes:
    """An identifier in explicit VR little endian."""
    found: Any = encode(identifier, False, True)
    return bytes(found)


class Asker:
    """One association; use it as a context."""

    def __init__(self, port: int, called: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 600)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")
        self._socket.sendall(greeting({1: (FIND, EXPLICIT)}, "BENCH", called))
        kind, body = self._pdu()
        if kind != 2:
            raise RuntimeError("no association")
        results, self._room = accepted(body)
        if results[1] != 0:
            raise RuntimeError("the worklist is not offered")

    def __enter__(self) -> "Asker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.sendall(b"\5\0\0\0\0\4\0\0\0\0")
        self._file.close()
        self._socket.close()

    def ask(self, identifier: Dataset) -> int:
        """How many answers come; RuntimeError when it does not end well."""
        for pieces in ([command(1, _request())], fragments([encoded(identifier)], 1, self._room)):
            for piece in pieces:
                send(self._socket, piece)
        count, told = 0, bytearray()
        while True:
            _, body = self._pdu()
            for control, value in values(body):
                if not control & 1:
                    continue
                told += value
                if control & 2:
                    status = response(bytes(told)).status
                    told.clear()
                    if status not in _PENDING:
                        if status != _SUCCESS:
                            raise RuntimeError(f"status {status:04X}")
                        return count
                    count += 1

    def _pdu(self) -> tuple[int, bytes]:
        kind, length = HEADER.unpack(self._file.read(6))
        return kind, self._file.read(length)


def _request() -> bytes:
    """The command set of a C-FIND-RQ (PS3.7 section 9.3.2.1)."""
    uid = FIND.encode() + b"\0" * (len(FIND) % 2)
    numbers = ((0x0100, 0x0020), (0x0110, 1), (0x0700, 0), (0x0800, 1))
    elements = [(0x0002, uid), *((number, struct.pack("<H", value)) for number, value in numbers)]
    body = b"".join(struct.pack("<HHI", 0, number, len(value)) + value for number, value in elements)
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body
