"""HL7 messages for tests, and a peer that speaks MLLP."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

START, END = b"\x0b", b"\x1c\r"

#: Values that must never be seen outside the message, the database and a FHIR answer.
CANARIES = ("ZZCANARYNAME", "ZZCANARYID77", "19310213", "1931-02-13", "ZZCANARYACC9")


def adt(
    trigger: str = "A04", *, control_id: str = "C1", time: str = "20260101120000", pid: str = "", **msh: str
) -> bytes:
    """An ADT message of RIS at HOSP; ``pid`` replaces the whole PID segment."""
    pid = pid or "PID|1||P1^^^HOSP^MR||Doe^Jane^Q||19800203|F"
    header = _header(f"ADT^{trigger}", control_id, time, **msh)
    return f"{header}\rEVN|{trigger}|{time}\r{pid}\rPV1|1|O\r".encode()


def orm(control: str = "NW", *, control_id: str = "O1", time: str = "20260101120000", **fields: str) -> bytes:
    """ORM^O01 with one order; ``fields`` such as ``orc5="SC"`` fill single fields, ``pid`` and ``tail`` segments."""
    pid = fields.pop("pid", "PID|1||P1^^^HOSP^MR||Doe^Jane^Q||19800203|F")
    tail = fields.pop("tail", "ZDS|1.2.840.99.1^^Application^DICOM")
    numbers = {"orc2": "PL1^HIS", "orc3": "FI1^RIS", "obr4": "24725-4^CT Head^LN", "obr18": "ACC1", "obr24": "CT"}
    orc = _segment("ORC", control, {**numbers, **fields})
    obr = _segment("OBR", "1", {**numbers, **fields})
    return f"{_header('ORM^O01', control_id, time)}\r{pid}\r{orc}\r{obr}\r{tail}\r".encode()


def omi(control: str = "NW", *, control_id: str = "I1", time: str = "20260101120000", ipc: str = "") -> bytes:
    """OMI^O23 with one order and one scheduled step."""
    ipc = ipc or "IPC|ACC7^HOSP|RP7|1.2.840.99.7|SPS7|MR|P1^Knee^99LOCAL|ST1|Room 1|AET1"
    return (
        f"{_header('OMI^O23^OMI_O23', control_id, time)}\rPID|1||P1^^^HOSP^MR||Doe^Jane\r"
        f"ORC|{control}|PL7^HIS|FI7^RIS||SC\rTQ1|||||||20260102083000+0100||S\r"
        f"OBR|1|PL7^HIS|FI7^RIS|24700-7^MR Knee^LN|||||||||||4711^House^Gregory^^^Dr.\rNTE|1||Left side\r{ipc}\r"
    ).encode()


def _header(kind: str, control_id: str, time: str, sender: str = "RIS", charset: str = "", version: str = "2.5") -> str:
    return rf"MSH|^~\&|{sender}|HOSP|CAUSEWAY|HOSP|{time}||{kind}|{control_id}|P|{version}||||||{charset}"


def _segment(name: str, first: str, fields: dict[str, str]) -> str:
    numbered = {int(key[3:]): value for key, value in fields.items() if key[:3] == name.lower()}
    return "|".join([name, first, *(numbered.get(number, "") for number in range(2, max(numbered, default=1) + 1))])


def code_of(answer: bytes) -> str:
    """MSA-1 of an acknowledgement."""
    found = re.search(rb"\rMSA.(..)", answer)
    assert found, "no MSA segment"
    return found.group(1).decode()


class Peer:
    """A RIS at the other end of an MLLP connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, message: bytes) -> bytes:
        """The answer to one message."""
        await self.write(START + message + END)
        return await self.answer()

    async def write(self, raw: bytes) -> None:
        """Send bytes as they are."""
        self._writer.write(raw)
        await self._writer.drain()

    async def answer(self) -> bytes:
        """The next answer; empty when the server hung up."""
        try:
            framed = await asyncio.wait_for(self._reader.readuntil(END), 20)
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""
        return framed[1:-2]


@asynccontextmanager
async def mllp_peer(port: int) -> AsyncIterator[Peer]:
    """A connection to an MLLP server on loopback."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Peer(reader, writer)
    finally:
        writer.close()
