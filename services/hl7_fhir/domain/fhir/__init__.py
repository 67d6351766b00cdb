"""The FHIR API: resources as documents, search, and writes."""
