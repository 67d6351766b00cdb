"""What goes out conforms as well as what came in: dciodvfy (dicom3tools) finds no error that the input had not."""

import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from services.deid.domain.options import Option
from tests.unit.deid.originals import choosing, clean

if shutil.which("dciodvfy") is None:
    pytest.skip("dciodvfy is not installed (Debian: dicom3tools)", allow_module_level=True)

#: Values, and UIDs, which are others in the output.
_VALUES = re.compile(r"\b\d+(\.\d+)+\b|= <[^>]*>")
CONTENT = (Option.CLEAN_STRUCTURED_CONTENT, Option.CLEAN_GRAPHICS, Option.CLEAN_DESCRIPTORS)
OBJECTS = [
    "deid/planted/sr/039_sr.dcm",
    "deid/planted/graphics/042_pr.dcm",
    "deid/planted/series/026_ko.dcm",
    "deid/planted/series/025_rtstruct.dcm",
    "deid/planted/documents/046_doc.dcm",
    "deid/planted/documents/048_doc.dcm",
    "dicom/dcmqi/data/sr-example/sr.dcm",
    "dicom/dcmqi/data/sr-example/seg.dcm",
    "dicom/dcmqi/data/sr-example/rwvm.dcm",
    "dicom/highdicom/data/test_files/sr_document.dcm",
    "dicom/highdicom/data/test_files/sr_document_with_multiple_groups.dcm",
    "dicom/highdicom/data/test_files/sm_annotations.dcm",
    "dicom/highdicom/data/test_files/seg_image_cr_binary.dcm",
    "dicom/pydicom_core/test_files/test-SR.dcm",
    "dicom/pydicom_core/test_files/waveform_ecg.dcm",
    "dicom/pydicom_core/test_files/rtplan.dcm",
    "dicom/pydicom_core/test_files/rtdose.dcm",
    "dicom/pydicom_data/parametric_map_float.dcm",
    "dicom/weasis_tools/prLUTs.dcm",
    "dicom/weasis_tools/prOverlay.dcm",
]


def errors(path: Path) -> Counter[str]:
    """What dciodvfy calls an error, without values."""
    found = subprocess.run(["dciodvfy", str(path)], capture_output=True, check=False)
    lines = (found.stderr + found.stdout).decode("latin-1").splitlines()
    return Counter(_VALUES.sub("", line) for line in lines if line.startswith("Error"))


@pytest.mark.parametrize("options", [(), CONTENT], ids=["basic", "content"])
@pytest.mark.parametrize("name", OBJECTS)
def test_nothing_becomes_less_conformant(corpus: Path, tmp_path: Path, name: str, options: tuple[Option, ...]) -> None:
    """Reports, graphics, key objects, plans, segmentations, maps, signals, documents."""
    source, out = corpus / name, tmp_path / "out.dcm"
    out.write_bytes(clean(source.read_bytes(), choosing(*options))[1])
    assert errors(out) - errors(source) == Counter()
