"""What dicom_ingest does on each arrival."""
