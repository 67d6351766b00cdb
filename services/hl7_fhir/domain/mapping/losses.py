"""The report of losses: which fields of a message were valued and went nowhere. Names of fields only, never values."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from services.hl7_fhir.domain.mapping.rows import Trace, occurrence
from services.hl7_fhir.domain.mapping.vocabulary import words
from services.hl7_fhir.domain.messages.message import Field, Message, Segment

#: More than this many are not listed: the report is about maps, not about the message.
MAX_LISTED = 500

#: Segments that only carry the message, and fields that number segments.
_FRAME = frozenset(("MSH", "BHS", "BTS", "FHS", "FTS"))
_NUMBERED = words("PID PV1 NK1 OBR OBX NTE TQ1 AIS AIL AIP AIG RGS DG1 AL1 IN1 GT1 TXA PR1 SPM FT1 ROL")
_TIMES = frozenset(("EVN-1", "EVN-2"))


@dataclass
class Uses:
    """What was read of a message: components by field of a segment and its occurrence, none for all of them."""

    read: dict[tuple[str, int, int], frozenset[int]] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)

    def whole(self, segment: Segment, *numbers: int) -> None:
        """Fields that were taken as a whole."""
        for number in numbers:
            self.read[segment.name, segment.occurrence, number] = frozenset()

    def traced(self, segments: Iterable[Segment], trace: Trace, repeating: frozenset[str] = frozenset()) -> None:
        """What a map read of ``segments``; of those that do not repeat the first that has the field was meant."""
        seen: dict[str, int] = {}
        taken: set[str] = set()
        named = {name.rpartition("-")[0] for name in trace.read}
        for segment in segments:
            prefix = segment.name
            if prefix in repeating:
                seen[prefix] = seen.get(prefix, 0) + 1
                prefix = occurrence(prefix, seen[prefix])
            if prefix not in named:
                continue
            for number in segment.numbers():
                name = f"{prefix}-{number}"
                reads = trace.read.get(name)
                if reads is not None and name not in taken and segment.raw(number):
                    taken.add(name)
                    self._add(segment, number, reads)
        self.left += trace.left

    def _add(self, segment: Segment, number: int, reads: frozenset[int]) -> None:
        key = (segment.name, segment.occurrence, number)
        known = self.read.get(key)
        if known is None:
            self.read[key] = reads
        elif known:
            self.read[key] = known | reads if reads else frozenset()


def losses(message: Message, uses: Uses) -> tuple[str, ...]:
    """The fields that were valued and went nowhere: ``PV1-44``, ``OBX[2]-8``, ``PID-5.8``, ``ORC-12~2``."""
    found: list[str] = []
    for segment in message.segments:
        if segment.name not in _FRAME:
            found += _of(segment, uses.read)
        if len(found) > MAX_LISTED:
            break
    return tuple(dict.fromkeys((*found, *uses.left)))[:MAX_LISTED]


def _of(segment: Segment, read: Mapping[tuple[str, int, int], frozenset[int]]) -> list[str]:
    name, at = segment.name, segment.occurrence
    where = f"{name}[{at}]" if at > 1 else name
    found = []
    for number in segment.numbers():
        if not segment.raw(number) or (number == 1 and name in _NUMBERED) or f"{name}-{number}" in _TIMES:
            continue
        reads = read.get((name, at, number))
        if reads is None:
            if _is_valued(segment.field(number)):
                found.append(f"{where}-{number}")
        elif reads:
            found += [f"{where}-{number}.{part}" for part in _components(segment.field(number)) if part not in reads]
    return found


def _is_valued(value: Field) -> bool:
    return any(_has_text(part) for repetition in value for component in repetition for part in component)


def _components(value: Field) -> list[int]:
    return sorted(
        {
            number
            for repetition in value
            for number, component in enumerate(repetition, 1)
            if any(_has_text(part) for part in component)
        }
    )


def _has_text(part: str) -> bool:
    return bool(part) and part != '""' and not part.isspace()
