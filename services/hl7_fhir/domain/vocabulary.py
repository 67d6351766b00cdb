"""The systems that codes and ids belong to; what codes become is data (``maps/concepts.yaml``)."""

from urllib.parse import quote


def words(text: str) -> frozenset[str]:
    """The codes in ``text``, between spaces."""
    return frozenset(text.split())


IDENTIFIER_TYPE_SYSTEM = "http://terminology.hl7.org/CodeSystem/v2-0203"

#: Table 0203 as the guide lists it; other types are kept as text.
IDENTIFIER_TYPES = words(
    "ACSN AM AMA AN ANC AND ANON ANT APRN ASID BA BC BCT BR BRN BSNR CC CONM CY CZ DDS DEA DFN DI DL DN DO DP DPM "
    "DR DS EI EN ESN FGN FI FILL GI GL GN HC IND JHN LACSN LANR LI LN LR MA MB MC MCD MCN MCR MCT MD MI MR MRT MS "
    "NBSNR NCT NE NH NI NII NIIP NP NPI OD PA PC PCN PE PEN PGN PI PLAC PN PNT PPIN PPN PRC PRN PT QA RI RN RPH RR "
    "RRI RRP SID SL SN SP SR SS TAX TN TPR U UPIN USID VN VP VS WC WCN WP XX"
)

#: Table 0396, the coding systems that imaging orders use, to FHIR's names for them.
CODING_SYSTEMS = {
    "LN": "http://loinc.org",
    "SCT": "http://snomed.info/sct",
    "SNM3": "http://snomed.info/sct",
    "I10": "http://hl7.org/fhir/sid/icd-10",
    "I10C": "http://hl7.org/fhir/sid/icd-10-cm",
    "I9": "http://hl7.org/fhir/sid/icd-9-cm",
    "I9C": "http://hl7.org/fhir/sid/icd-9-cm",
    "C4": "http://www.ama-assn.org/go/cpt",
    "CPT": "http://www.ama-assn.org/go/cpt",
    "UCUM": "http://unitsofmeasure.org",
    "DCM": "http://dicom.nema.org/resources/ontology/DCM",
    "RADLEX": "http://radlex.org",
    "NDC": "http://hl7.org/fhir/sid/ndc",
    "ISO3166_1": "urn:iso:std:iso:3166",
    "BCP47": "urn:ietf:bcp:47",
}

DICOM_UID_SYSTEM = "urn:dicom:uid"

#: DICOM's modalities for images that a room is ordered for (PS3.3 section C.7.3.1.1.1); OBR-24 holds other things too.
MODALITIES = words(
    "AR AU BDUS BI BMD CR CT DG DX ECG EEG EMG EPS ES GM HC HD IO IVOCT IVUS KER LEN LS MG MR NM OAM OCT OP OPM OPT "
    "OPTBSV OPTENF OPV OSS OT PT PX RESP RF RG RTIMAGE SM SRF TG US VA XA XC"
)


def coding_system(name: str) -> str:
    """FHIR's URI for an HL7 coding system name; a name of this site's own becomes ``urn:x-causeway:code-system:…``."""
    known = CODING_SYSTEMS.get(name.upper())
    if known:
        return known
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
