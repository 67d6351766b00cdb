"""Maps of fields to FHIR as data: the engine, its converters, identity, and what went nowhere."""
