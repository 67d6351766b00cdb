"""The maps from HL7 v2 to FHIR as a page: every row of ``services/hl7_fhir/maps``, generated from the compiled maps."""

from collections.abc import Iterable, Iterator

from cli.conformance.markdown import code, table
from services.hl7_fhir.domain.clinical.decision import TRIGGERS
from services.hl7_fhir.domain.mapping.concepts import Concept, ConceptMap
from services.hl7_fhir.domain.mapping.maps import DatatypeMap, Maps
from services.hl7_fhir.domain.mapping.rows import Row, SegmentMap
from services.hl7_fhir.domain.mapping.shipped import shipped

PATH = "docs/conformance/hl7-maps.md"

_HEAD = """# Maps from HL7 v2 to FHIR R4

Generated from `services/hl7_fhir/maps` by `make flow`; do not edit. Names, rows and concept maps are those of the HL7
v2-to-FHIR guide 1.0.0 (HL7 International, Apache-2.0); *own* marks what the guide has not.

A row says which field becomes which element. `[]` is a new item of a list, `[name]` the item of that name, to which
several rows add. What comes first stays: a later row fills only what is not there yet. A field that a message leaves
out says nothing, `""` deletes it, and an older message (EVN-2, else MSH-7) fills gaps and changes nothing newer.

Some fields stand for more than one: EVN-1 is the last event that says what became of a visit or an appointment; OBX-90
is a Study Instance UID that an OBX names, OBX-91 a document inside of OBX-5 (ED), OBX-92 a pointer (RP), OBX-93 the
text of all OBX; XCN-1, XON-10 and PL-1 are the components that identify, XCN-2 and XON-1 those that name.

A site adds and overrides rows in a file of its own, named by `CAUSEWAY_MAPS_FILE`: its rows come before the shipped
ones and replace those of the same field and element, `drop` removes every shipped row of an element, concept maps are
extended code by code. It is checked at start; what is wrong is told with its line. For example an accession number
from ORC-3:

```yaml
segments:
  ORC[ServiceRequest]:
    drop: ["identifier[accession]"]
    rows:
      - {field: ORC-3, element: "identifier[accession]", map: "EI[Identifier-Accession]", type: ACSN, issuer: order}
concepts:
  AdministrativeSex:
    codes: {D: other}
```

What was valued and stands in no row is lost to FHIR, not to the archive: `causeway hl7 losses` lists such fields by
sender (MSH-3) with the number of messages, and so which rows a site may want to add.
"""

_CONVERTERS = """A data type map is rows of components, which a site adds to and overrides like those of segments, or a
named converter of the code (`services/hl7_fhir`), where something is computed:

* **times** (`DTM[…]`, `TM[time]`): the precision that was sent; with a time the offset, that of the sender's zone if
  none was sent; `DTM[Period]` leaves out an end before its start;
* **ids** (`CX`, `EI`, `EIP`, `DLN`, `ST[Identifier]`, `UI`): the system is `urn:oid:`, `urn:uuid:` or the URI of a
  registered universal id, else a URN of the namespace, else of the default issuer; the type by IdentifierType;
* **names** (`XPN`): further given names (XPN.3) are split at spaces, the parts of FN become extensions;
* **telephones** (`XTN`): e-mail by equipment or by XTN.4 alone, a number of its parts where it was not sent as a whole;
* **codes** (`CWE[…]`): by the row's concept map, else each triplet with its system by CodingSystem, HL7's own tables by
  their number, others as a URN;
* **people and places** (`XCN`, `NDL`, `XON`, `PL`): a reference to a resource of their identity;
* **numbers and contents** (`NM`, `ED`, `RP`, `TX`, `FT`): checked, and left out when they are none.
"""


def page(maps: Maps | None = None) -> str:
    """The whole page, in Markdown."""
    maps = maps or shipped()
    parts = [_HEAD, "## Messages\n", _messages(), "## Segment maps\n"]
    parts += [_segment(each) for each in maps.segments]
    parts += ["## Data type maps\n", _datatypes(maps.datatypes.values()), "## Concept maps\n"]
    parts += [_concepts(maps.concepts[name]) for name in sorted(maps.concepts)]
    return "\n".join(parts).rstrip() + "\n"


def _messages() -> str:
    about: dict[str, list[str]] = {}
    for (kind, trigger), rule in sorted(TRIGGERS.items()):
        about.setdefault(rule.occasion.value, []).append(f"{kind}^{trigger}")
    rows = [(name, ", ".join(code(trigger) for trigger in triggers)) for name, triggers in sorted(about.items())]
    return table(("about", "messages"), rows) + "\n"


def _segment(each: SegmentMap) -> str:
    own = " (own)" if each.source == "own" else ""
    into = f"Every occurrence of the segment is an item of `{each.each}`.\n\n" if each.each else ""
    rows = table(("field", "element", "data type map", "concept map", "when"), (_row(row) for row in each.rows))
    return f"### {each.name}{own}\n\n{into}{rows}\n"


def _row(row: Row) -> tuple[str, ...]:
    written = row.written
    fields = " – ".join(written[name] for name in ("field", "end") if name in written)
    made = written.get("map", "") or (f"{written['apply']} (function)" if "apply" in written else "")
    if row.constant is not None:
        made = "constant" if "value" not in written else f"“{written['value']}”"
    options = [f"{name}: {written[name]}" for name in ("type", "use", "issuer") if name in written]
    when = [written["if"]] if "if" in written else []
    when += [f"no {name} yet" for name in row.unless]
    told = "; ".join((*when, *options))
    return code(fields), code(row.element), code(made), code(written.get("concepts", "")), told


def _datatypes(found: Iterable[DatatypeMap]) -> str:
    """Those that compute in one table, then one table for each of those that are rows."""
    known = sorted(found, key=lambda each: each.name)
    rows = (
        (
            code(each.name),
            ", ".join(map(str, sorted(each.reads))) or "all",
            "rows, below" if each.rows else "converter",
            "own" if each.source == "own" else "",
        )
        for each in known
    )
    parts = [_CONVERTERS, table(("map", "components that are read", "how", ""), rows) + "\n"]
    return "\n".join([*parts, *(_datatype(each) for each in known if each.rows)])


def _datatype(each: DatatypeMap) -> str:
    needed = ", ".join(code(name) for name in sorted(each.needed))
    needed = f"Nothing without one of {needed}.\n\n" if needed else ""
    rows = table(("component", "element", "data type map", "concept map", "when"), (_row(row) for row in each.rows))
    return f"### {each.name}\n\n{needed}{rows}\n"


def _concepts(each: ConceptMap) -> str:
    own = " (own)" if each.source == "own" else ""
    return f"### {each.name}{own}\n\n{table((f'table {each.table}', 'FHIR', ''), _codes(each))}\n"


def _codes(each: ConceptMap) -> Iterator[tuple[str, str, str]]:
    for sent, concept in each.codes.items():
        yield code(sent), code(concept.code), _meaning(concept)


def _meaning(concept: Concept) -> str:
    return ", ".join(told for told in (concept.display, concept.system) if told)
