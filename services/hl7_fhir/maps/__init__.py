"""The maps from HL7 v2 to FHIR, as YAML; ``domain/mapping/maps_file.py`` reads them."""
