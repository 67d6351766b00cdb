"""The decisions of dicom_ingest: pure functions and frozen types."""
