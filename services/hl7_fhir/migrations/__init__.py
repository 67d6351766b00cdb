"""Versions of the schema of hl7_fhir."""
