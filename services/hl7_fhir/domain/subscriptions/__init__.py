"""Topic-based subscriptions: HL7's guide "Subscriptions R5 Backport" 1.1.0 as it applies to FHIR R4."""

GUIDE = "http://hl7.org/fhir/uv/subscriptions-backport"
PROFILES = f"{GUIDE}/StructureDefinition"
