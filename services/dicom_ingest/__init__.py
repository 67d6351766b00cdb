"""dicom_ingest: makes each received instance durable before it answers, and groups instances into landing batches."""
