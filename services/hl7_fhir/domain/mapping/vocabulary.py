"""The systems that codes and ids belong to; what codes become is data (``maps/concepts.yaml``)."""

from urllib.parse import quote

from services.hl7_fhir.domain.mapping.concepts import ConceptMap


def words(text: str) -> frozenset[str]:
    """The codes in ``text``, between spaces."""
    return frozenset(text.split())


DICOM_UID_SYSTEM = "urn:dicom:uid"

#: DICOM's modalities for images that a room is ordered for (PS3.3 section C.7.3.1.1.1); OBR-24 holds other things too.
MODALITIES = words(
    "AR AU BDUS BI BMD CR CT DG DX ECG EEG EMG EPS ES GM HC HD IO IVOCT IVUS KER LEN LS MG MR NM OAM OCT OP OPM OPT "
    "OPTBSV OPTENF OPV OSS OT PT PX RESP RF RG RTIMAGE SM SRF TG US VA XA XC"
)


def coding_system(name: str, known: ConceptMap) -> str:
    """FHIR's URI for an HL7 coding system name by the concept map CodingSystem (table 0396).

    A table of HL7 has its own; a name that nobody knows becomes ``urn:x-causeway:code-system:…``.
    """
    found = known.find(name)
    if found:
        return found.code
    if name.upper().startswith("HL7") and name[3:].isdecimal():
        return f"http://terminology.hl7.org/CodeSystem/v2-{name[3:].zfill(4)}"
    return name if "://" in name or name.startswith("urn:") else f"urn:x-causeway:code-system:{quote(name, safe='')}"


def identifier_system(namespace: str, universal: str, kind: str) -> str:
    """FHIR's URI for an assigning authority (data type map HD[uri]); empty when it names nobody.

    A registered universal id comes before a namespace, which becomes ``urn:x-causeway:issuer:<namespace>``.
    """
    if universal and kind == "ISO":
        return f"urn:oid:{universal}"
    if universal and kind == "UUID":
        return f"urn:uuid:{universal.lower()}"
    if universal and kind == "URI":
        return universal
    name = namespace or universal
    return f"urn:x-causeway:issuer:{quote(name, safe='')}" if name else ""
