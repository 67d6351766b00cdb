"""What the attributes of a CDA document may say (HL7 CDA R2; HL7 v3 vocabularies): anything else is another's words."""

import re

from services.deid.domain.codes import is_published
from services.deid.domain.content.concepts import About, Concept, standard_concepts
from services.deid.domain.rules import standard_rules
from services.deid.domain.technical import is_technical

INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"

#: Code systems whose schemes are published (codes.py); and those of HL7 itself, whose codes are short.
_SCHEMES = {
    "2.16.840.1.113883.6.96": "SCT",
    "2.16.840.1.113883.6.1": "LN",
    "2.16.840.1.113883.6.8": "UCUM",
    "2.16.840.1.113883.6.256": "RADLEX",
    "2.16.840.1.113883.6.3": "I10",
    "2.16.840.1.113883.6.90": "I10C",
    "1.2.840.10008.2.16.4": "DCM",
}
_HL7 = re.compile(r"2\.16\.840\.1\.113883\.5(\.\d+){1,3}")
#: Data types (HL7 v3 abstract data types) whose values are numbers and no times, names or addresses.
NUMERIC = frozenset({"PQ", "INT", "REAL", "IVL_PQ", "IVL_INT", "IVL_REAL", "RTO", "RTO_PQ_PQ", "CO"})
#: Words that attributes may have (HL7 v3 vocabularies ActClass, ActMood, ActRelationshipType, ParticipationType,
#: NullFlavor): any other says something else.
WORDS = {
    "classCode": frozenset({
        "DOCCLIN", "DOCBODY", "DOCSECT", "OBS", "ACT", "PROC", "SBADM", "SPLY", "ENC", "BATTERY", "CLUSTER", "ROIOVL",
        "ROIBND", "OBSSER", "OBSCOR", "DGIMG", "ALRT", "COND", "CASE", "SPCOBS", "DOC", "EHR", "TOPIC", "CATEGORY",
        "EXPR", "CONS", "CTTEVENT", "REG", "ACSN", "INFRM", "PCPR", "MPROT", "STC", "XACT", "GRPORG",
    }),
    "moodCode": frozenset({
        "EVN", "INT", "RQO", "PRMS", "PRP", "GOL", "DEF", "APT", "ARQ", "OPT", "EXPEC", "EVN.CRIT", "PERM", "PERMRQ",
    }),
    "typeCode": frozenset({
        "COMP", "DRIV", "REFR", "SUBJ", "CAUS", "MFST", "RSON", "SAS", "SPRT", "XCRPT", "GEVL", "PERT", "REFV",
        "ELNK", "RPLC", "APND", "XFRM", "CIND", "PRCN", "TRIG", "EVID", "EXPL", "ITEMSLOC", "LIMIT", "MTCH",
        "OUTC", "OBJC", "OBJF", "OCCR", "OREF", "SCH", "SUCC", "UPDT", "VRXCRPT", "FLFS", "GOAL", "RISK", "CHRG",
        "COST", "CREDIT", "DEBIT", "ARR", "DEP", "PREV", "DOC", "AUTH", "INST", "SPRTBND", "SEQL", "COVBY",
    }),
    "nullFlavor": frozenset({
        "NI", "OTH", "NINF", "PINF", "UNK", "ASKU", "NAV", "NASK", "TRC", "MSK", "NA", "INV", "DER", "UNC", "QS",
    }),
    "inversionInd": frozenset({"true", "false"}),
    "negationInd": frozenset({"true", "false"}),
    "listType": frozenset({"ordered", "unordered"}),
    f"{INSTANCE} type": NUMERIC | {
        "ANY", "BL", "BN", "ED", "ST", "SC", "CD", "CE", "CV", "CS", "II", "TEL", "AD", "EN", "PN", "ON", "TN", "TS",
        "IVL_TS", "PIVL_TS", "EIVL_TS", "SXCM_TS", "MO", "BXIT_CD", "GLIST_PQ", "GLIST_TS", "SLIST_PQ", "SLIST_TS",
    },
}  # fmt: skip


def is_unit(unit: str) -> bool:
    """Whether ``unit`` is one of UCUM."""
    return is_published("UCUM", unit, standard_rules().public_schemes)


def is_public(system: str, code: str) -> bool:
    """Whether ``code`` is one of the published code system with that OID."""
    scheme = _SCHEMES.get(system)
    if scheme:
        return is_published(scheme, code, standard_rules().public_schemes)
    return _HL7.fullmatch(system) is not None and is_technical(code)


def is_of_patient(system: str, code: str) -> bool:
    """Whether a statement of that code says who the patient is, or how old (tables/patient_concepts.yaml)."""
    return standard_concepts().about(Concept(_SCHEMES.get(system, ""), code, "")) is not About.NOTHING
