"""The DICOM conformance statement (PS3.2 annex N): what of it the code knows is generated from the code."""
