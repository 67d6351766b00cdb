"""Decisions about HL7 v2 messages and FHIR resources: pure functions and frozen types."""
