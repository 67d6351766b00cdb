"""The outside of dicom_ingest: sockets, spool, landing store."""
