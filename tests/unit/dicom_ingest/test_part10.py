"""The file header before a data set."""

from io import BytesIO

import pydicom
from pydicom.uid import CTImageStorage, JPEGLSLossless

from services.dicom_ingest.domain.part10 import file_header


def test_pydicom_reads_the_header_that_stands_before_a_data_set() -> None:
    header = file_header(str(CTImageStorage), "1.2.3", str(JPEGLSLossless))
    read = pydicom.dcmread(BytesIO(header))
    assert read.file_meta.MediaStorageSOPClassUID == CTImageStorage
    assert read.file_meta.MediaStorageSOPInstanceUID == "1.2.3"
    assert read.file_meta.TransferSyntaxUID == JPEGLSLossless
    assert read.file_meta.FileMetaInformationGroupLength == len(header) - 128 - 4 - 12
    assert header[:128] == bytes(128)


def test_the_header_is_a_function_of_its_arguments_alone() -> None:
    assert file_header("1.2", "1.2.3", "1.2.840.10008.1.2") == file_header("1.2", "1.2.3", "1.2.840.10008.1.2")
