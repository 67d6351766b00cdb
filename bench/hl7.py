"""ORM^O01 through MLLP to the acknowledgement, beside hl7apy's server and python-hl7's, in the same run.

Each connection sends a message and waits for its acknowledgement before the next; hl7apy's server closes each after one
message, so it gets a new one for each. Ours checks the message and keeps it durably before it says AA, and maps it to
FHIR and tells the bus after that; the two others parse and answer. No one is measured while ours still maps; that part
is counted in its processor time, and its rate is told beside: messages/s from the first byte to FHIR and the bus. What
the disk allows is measured too: a small row appended and synced, one after the other.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

from bench import hl7_receivers
from bench.receivers import Receiver
from bench.support import median, result, table

ROUNDS = 3
CONNECTIONS = (1, 16)
#: Messages a round, by receiver: as many as take a few seconds.
AIM = 1000  # messages/s over sixteen connections
MESSAGES = {"causeway": 2000, "python_hl7": 2000, "hl7apy": 160}
_START, _END = b"\x0b", b"\x1c\r"

Figures = dict[tuple[int, str], list[float]]


def main() -> int:
    """Let all take turns; print medians and ratios."""
    rates: Figures = defaultdict(list)
    costs: Figures = defaultdict(list)
    through: Figures = defaultdict(list)
    with tempfile.TemporaryDirectory(dir=os.environ.get("CAUSEWAY_BENCH_DIR")) as name, ExitStack() as stack:
        folder = Path(name)
        running = [stack.enter_context(hl7_receivers.causeway(folder))]
        running += [stack.enter_context(hl7_receivers.peer(peer, folder)) for peer in hl7_receivers.PEERS]
        for number in range(ROUNDS):
            for connections in CONNECTIONS:
                for receiver in running[number % len(running) :] + running[: number % len(running)]:
                    before, begun = receiver.cpu(), time.perf_counter()
                    rates[connections, receiver.name].append(_rate(receiver, connections, number))
                    receiver.settle()
                    through[connections, receiver.name].append(MESSAGES[receiver.name] / (time.perf_counter() - begun))
                    taken = receiver.cpu() - before
                    costs[connections, receiver.name].append(taken / MESSAGES[receiver.name])
            rates[1, "disk"].append(_disk(folder))
    return _show(rates, costs, through)


def _rate(receiver: Receiver, connections: int, seed: int) -> float:
    """Messages/s over so many connections at once."""
    count = MESSAGES[receiver.name]
    messages = [order(f"{seed}-{connections}-{number}") for number in range(count)]

    async def send() -> float:
        begun = time.perf_counter()
        await asyncio.gather(*(_talk(receiver, messages[at::connections]) for at in range(connections)))
        return count / (time.perf_counter() - begun)

    return asyncio.run(send())


async def _talk(receiver: Receiver, messages: list[bytes]) -> None:
    """One message after the other, over one connection where the receiver keeps it."""
    closes = receiver.name == hl7_receivers.HL7APY
    portions = [[each] for each in messages] if closes else [messages]
    for portion in portions:
        reader, writer = await asyncio.open_connection("127.0.0.1", receiver.port)
        for message in portion:
            writer.write(_START + message + _END)
            answer = await asyncio.wait_for(reader.readuntil(_END), 60)
            if b"MSA|AA|" not in answer:
                raise RuntimeError("a message was not accepted")
        writer.close()


def order(name: str) -> bytes:
    """A new order for one of many patients, as a RIS sends it: some 700 bytes."""
    patient = sum(name.encode()) % 97
    lines = (
        rf"MSH|^~\&|RIS|HOSP|CAUSEWAY|HOSP|20260131090000||ORM^O01|{name}|P|2.3.1||||||8859/1",
        f"PID|1||P{patient}^^^HOSP^MR~{patient}^^^NHS^SS||Mark^Bench^Q^^Dr.||19700101|F|||1 Main St^^Town^ST^12345^US"
        f"||555-0100|||M||V{patient}",
        "PV1|1|O|RAD^R1^^HOSP||||4711^House^Gregory^^^Dr.|4712^Wilson^James^^^Dr.||RAD||||||||V1||||||||||||||||||HOSP",
        f"ORC|NW|PL{name}^HIS|FI{name}^RIS||SC||^^^20260201083000^^R||20260131090000|clerk||4711^House^Gregory^^^Dr.",
        f"OBR|1|PL{name}^HIS|FI{name}^RIS|24627-2^CT Chest^LN|||20260131090000||||||Cough||"
        f"|4711^House^Gregory^^^Dr.||ACC{name}|RP{name}|SPS{name}||||CT|||^^^20260201083000^^R",
        "DG1|1||R05^Cough^I10",
        f"ZDS|1.2.826.0.1.3680043.8.498.{int.from_bytes(name.encode(), 'big') % 10**30}^^Application^DICOM",
    )
    return "".join(line + "\r" for line in lines).encode("latin-1")


def _disk(folder: Path) -> float:
    """The disk's own limit: a kilobyte appended and synced, one after the other."""
    handle = os.open(folder / "limit", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    begun = time.perf_counter()
    for _ in range(500):
        os.write(handle, bytes(1024))
        os.fdatasync(handle)
    taken = time.perf_counter() - begun
    os.close(handle)
    return 500 / taken


def _show(rates: Figures, costs: Figures, through: Figures) -> int:
    """Tables and ratios; 1 when the aim is missed."""
    print(f"\nORM^O01 to its acknowledgement, medians of {ROUNDS} rounds: messages/s, CPU ms per message\n")
    rows = [
        (receiver, connections, median(found), 1000 * median(costs.get((connections, receiver), [0.0])))
        for (connections, receiver), found in sorted(rates.items(), key=lambda item: (item[0][0], item[0][1]))
    ]
    table(("receiver", "connections", "messages/s", "CPU ms"), rows)

    def ratio(peer: str, connections: int) -> float:
        mine, theirs = rates[connections, "causeway"], rates[connections, peer]
        return median(one / other for one, other in zip(mine, theirs, strict=True))

    ratios = {
        "hl7apy_1": ratio("hl7apy", 1),
        "hl7apy_16": ratio("hl7apy", 16),
        "python_hl7_1": ratio("python_hl7", 1),
        "python_hl7_16": ratio("python_hl7", 16),
    }
    figures = {f"{name}/{count}": [round(rate, 1) for rate in found] for (count, name), found in rates.items()}
    orm_per_s, mapped = median(rates[16, "causeway"]), median(through[16, "causeway"])
    print(f"\nOurs, from the first byte to FHIR and the bus, 16 connections: {mapped:.0f} messages/s\n")
    result("hl7", ratios, {"orm_per_s_16": orm_per_s, "mapped_per_s_16": mapped, "messages_per_second": figures})
    reached = orm_per_s >= AIM and min(ratios["hl7apy_1"], ratios["hl7apy_16"], ratios["python_hl7_16"]) > 1
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
