"""HL7 v2 in over MLLP, FHIR R4 out, facts about orders and patients on the bus."""
