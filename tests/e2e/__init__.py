"""A whole site as its users have it: real processes, real clouds, real DICOM."""
