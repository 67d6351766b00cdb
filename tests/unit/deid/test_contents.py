"""Graphics, documents, signals and colour profiles: cleaned by what they are, replaced where nobody can prove them."""

import struct
from io import BytesIO
from pathlib import Path

import pytest
from PIL import ImageCms
from pydicom import Dataset, dcmread
from pydicom.dataset import Dataset as Item
from pydicom.uid import (
    EncapsulatedCDAStorage,
    EncapsulatedPDFStorage,
    EncapsulatedSTLStorage,
    GrayscaleSoftcopyPresentationStateStorage,
)

from services.deid.domain.content.cda import EMPTY_CDA, clean_cda
from services.deid.domain.content.documents import EMPTY_PDF, EMPTY_STL
from services.deid.domain.content.icc import STANDARD_PROFILE, clean_profile
from services.deid.domain.options import Option
from tests.support.instances import as_file, make_instances
from tests.unit.deid.originals import choosing, clean

SECRET = "Kilmister^Ian MRN8472655"


def without_pixels(sop_class: str) -> Dataset:
    """An object of a class that has no pixels."""
    (dataset,) = make_instances(1, SOPClassUID=sop_class, PatientName="Kilmister^Ian", PatientID="MRN8472655")
    del dataset.PixelData
    return dataset


def cleaned(dataset: Dataset, *options: Option) -> Dataset:
    """What goes out; nothing of the patient's in its bytes."""
    out = clean(as_file(dataset), choosing(*options))[1]
    assert b"kilmister" not in out.lower()
    return dcmread(BytesIO(out))


def presentation_state() -> Dataset:
    """Lines and text of the patient, and a shutter that an overlay gives."""
    dataset = without_pixels(GrayscaleSoftcopyPresentationStateStorage)
    text, line, annotation = Item(), Item(), Item()
    text.UnformattedTextValue, text.AnchorPoint = f"lesion of {SECRET}", [10.0, 20.0]
    text.AnchorPointAnnotationUnits, text.AnchorPointVisibility = "PIXEL", "Y"
    line.GraphicAnnotationUnits, line.GraphicDimensions, line.NumberOfGraphicPoints = "PIXEL", 2, 2
    line.GraphicData, line.GraphicType, line.GraphicFilled = [1.0, 2.0, 3.0, 4.0], "POLYLINE", "N"
    annotation.GraphicLayer = "L1"
    annotation.TextObjectSequence, annotation.GraphicObjectSequence = [text], [line]
    dataset.GraphicAnnotationSequence = [annotation]
    dataset.ShutterShape, dataset.ShutterOverlayGroup, dataset.ShutterPresentationValue = "BITMAP", 0x6000, 0
    dataset.add_new(0x60003000, "OW", SECRET.encode())
    dataset.add_new(0x60000022, "LO", SECRET)
    return dataset


def test_graphics_keep_their_lines_and_lose_their_words() -> None:
    """Clean Graphics: the text itself is a descriptor's (0070,0006)."""
    (annotation,) = cleaned(presentation_state(), Option.CLEAN_GRAPHICS).GraphicAnnotationSequence
    assert list(annotation.GraphicObjectSequence[0].GraphicData) == [1.0, 2.0, 3.0, 4.0]
    assert annotation.TextObjectSequence[0].UnformattedTextValue == "REMOVED"
    assert annotation.GraphicLayer == "L1"


def test_graphics_of_which_no_option_speaks_become_a_point() -> None:
    """Code D: something that conforms and says nothing."""
    (annotation,) = cleaned(presentation_state()).GraphicAnnotationSequence
    assert "TextObjectSequence" not in annotation
    assert annotation.GraphicLayer == "L1"
    assert annotation.GraphicObjectSequence[0].GraphicType == "POINT"


@pytest.mark.parametrize("options", [(), (Option.CLEAN_GRAPHICS,)])
def test_overlays_go_and_what_points_to_them(options: tuple[Option, ...]) -> None:
    """Planes may show any text; a shutter without its plane is none."""
    out = cleaned(presentation_state(), *options)
    assert not [element for element in out if element.tag.group == 0x6000]
    assert not {"ShutterShape", "ShutterOverlayGroup", "ShutterPresentationValue"} & set(out.dir())
    both = presentation_state()
    both.ShutterShape = ["CIRCULAR", "BITMAP"]
    assert cleaned(both, *options).ShutterShape == "CIRCULAR"


@pytest.mark.parametrize(
    ("sop_class", "stands"),
    [(EncapsulatedPDFStorage, EMPTY_PDF), (EncapsulatedCDAStorage, EMPTY_CDA), (EncapsulatedSTLStorage, EMPTY_STL)],
)
@pytest.mark.parametrize("options", [(), (Option.CLEAN_GRAPHICS, Option.CLEAN_STRUCTURED_CONTENT)])
def test_documents_are_replaced(sop_class: str, stands: bytes, options: tuple[Option, ...]) -> None:
    """No option of the standard lets one out; the length that is told is that of the new one."""
    dataset = without_pixels(sop_class)
    dataset.EncapsulatedDocument, dataset.EncapsulatedDocumentLength = SECRET.encode() * 2, 2 * len(SECRET)
    out = cleaned(dataset, *options)
    assert out.EncapsulatedDocument[: len(stands)] == stands
    assert out.EncapsulatedDocumentLength == len(stands)


@pytest.mark.parametrize("sop_class", [EncapsulatedPDFStorage, EncapsulatedCDAStorage, EncapsulatedSTLStorage])
@pytest.mark.parametrize("said", ["YES", None])
@pytest.mark.parametrize("options", [(), (Option.CLEAN_PIXEL_DATA, Option.CLEAN_VISUAL_FEATURES)])
def test_a_document_that_took_the_place_of_another_names_and_shows_nobody(
    sop_class: str, said: str | None, options: tuple[Option, ...]
) -> None:
    """Burned In Annotation is of Type 1 there (PS3.3 section C.24.2), and about the document that goes out."""
    dataset = without_pixels(sop_class)
    dataset.EncapsulatedDocument = SECRET.encode() * 2
    if said:
        dataset.BurnedInAnnotation = said
    out = cleaned(dataset, *options)
    assert out.BurnedInAnnotation == "NO"
    assert out.get("RecognizableVisualFeatures") == ("NO" if options else None)
    assert [code.CodeValue for code in out.DeidentificationMethodCodeSequence][1:] == [
        each.code.value for each in options
    ]


def test_a_document_where_none_belongs_says_nothing_of_the_pixels() -> None:
    """An image that carries one."""
    (image,) = make_instances(1, EncapsulatedDocument=SECRET.encode() * 2, PatientName="Kilmister^Ian")
    assert "BurnedInAnnotation" not in cleaned(image)


def test_the_document_that_stands_for_a_pdf_is_one() -> None:
    """Its table of objects says where they are (ISO 32000 section 7.5.4)."""
    start = int(EMPTY_PDF.rsplit(b"startxref\n")[1].split()[0])
    assert EMPTY_PDF[start:].startswith(b"xref\n0 6\n")
    places = [int(line[:10]) for line in EMPTY_PDF[start:].splitlines()[3:8]]
    assert [EMPTY_PDF[place:].split()[:3] for place in places] == [[b"%d" % n, b"0", b"obj"] for n in range(1, 6)]


CDA = """<?xml version="1.0"?><ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<id root="1.2.3" extension="MRN8472655"/><title>Report for Kilmister</title>
<recordTarget><patientRole><id extension="MRN8472655"/>
<patient><name>Kilmister</name></patient></patientRole></recordTarget>
<!-- Kilmister --><component><structuredBody><component><section>
<code code="121070" codeSystem="1.2.840.10008.2.16.4" displayName="Findings of Kilmister"/>
<title>Findings</title><text>
<paragraph styleCode="Kilmister">Nodule of <content>Kilmister</content> unchanged</paragraph>
<renderMultiMedia referencedObject="Kilmister"/></text>
<entry><observation classCode="OBS" moodCode="EVN"><id root="1.2.3.4"/><code code="Kilmister" codeSystem="1.2.3"/>
<effectiveTime value="20200102"/><value xsi:type="PQ" value="71.8" unit="mm"/><value xsi:type="TS" value="20231224"/>
<author><assignedAuthor><id extension="Kilmister"/></assignedAuthor></author></observation></entry>
</section></component></structuredBody></component></ClinicalDocument>"""


def without_names(text: str) -> str:
    """As a list of harmless words would clean it."""
    return " ".join(word for word in text.split() if word in ("Nodule", "of", "unchanged", "Findings", "Report", "for"))


def test_a_cda_keeps_its_findings() -> None:
    """Section titles, narrative, published codes and measurements; nothing that is not named (CDA R2)."""
    out = clean_cda(CDA.encode(), without_names).decode()
    assert (
        "Kilmister" not in out
        and "8472655" not in out
        and "2020" not in out
        and "20231224" not in out
        and "1.2.3" not in out.replace("1.2.840", "")
    )
    assert '<code code="121070" codeSystem="1.2.840.10008.2.16.4">' in out
    assert "<title>Findings</title>" in out
    assert "Nodule of" in out and "unchanged" in out
    assert 'value="71.8"' in out and 'unit="mm"' in out


@pytest.mark.parametrize(
    "document",
    [
        '<!DOCTYPE a [<!ENTITY b "Kilmister">]>' + CDA.partition("?>")[2].replace("Nodule", "&b;"),
        CDA[:-30],
        "Kilmister",
        CDA.replace("urn:hl7-org:v3", "urn:other"),
        CDA.replace("structuredBody", "nonXMLBody"),
        CDA.replace("<paragraph", "<paragraph>" * 80 + "<paragraph", 1),
        "",
    ],
    ids=["entity", "cut", "no xml", "other namespace", "base64 body", "deep", "empty"],
)
def test_a_cda_that_cannot_be_read_is_replaced(document: str) -> None:
    """Nothing is expanded, and nothing is guessed."""
    assert clean_cda(document.encode(), without_names) == EMPTY_CDA


def profile(version: int = 2, **tags: bytes) -> bytes:
    """A profile of the named tags beside the three primaries, with a maker, a time and a name."""
    every = {"desc": b"desc\0\0\0\0\0\0\0\x19" + SECRET.encode(), "cprt": b"text\0\0\0\0" + SECRET.encode()}
    every |= {name: b"XYZ \0\0\0\0" + struct.pack(">3i", 1, 2, 3) for name in ("rXYZ", "gXYZ", "bXYZ")}
    every |= tags
    header = bytearray(128)
    header[8:24], header[36:40] = bytes([version]) + b"\x10\0\0mntrRGB XYZ ", b"acsp"
    header[24:36], header[48:52], header[80:84] = struct.pack(">6H", 2020, 1, 2, 3, 4, 5), b"KILM", b"ISTR"
    table, body = struct.pack(">I", len(every)), b""
    for name, data in every.items():
        table += struct.pack(">4sII", name.encode(), 132 + 12 * len(every) + len(body), len(data))
        body += data
    header[:4] = struct.pack(">I", 128 + len(table) + len(body))
    return bytes(header) + table + body


@pytest.mark.parametrize("version", [2, 4])
def test_a_colour_profile_keeps_its_numbers(version: int) -> None:
    """Primaries and curves stay; descriptions, makers, times and slack behind the numbers do not."""
    curve = b"curv\0\0\0\0" + struct.pack(">IHH", 2, 0, 65535)
    given = profile(version, rTRC=curve + SECRET.encode(), dmnd=b"desc" + SECRET.encode(), A2B0=table_of(2))
    out = clean_profile(given)
    assert out is not None
    for word in (b"Kilm", b"KILM", b"ISTR", b"8472655", struct.pack(">3H", 2020, 1, 2)):
        assert word not in out
    assert curve in out and table_of(2) in out
    assert struct.unpack_from(">I", out)[0] == len(out)
    assert clean_profile(out) == out


def table_of(width: int) -> bytes:
    """A lookup table of one input and one output (ICC.1 clause 10.10)."""
    head = b"mft2\0\0\0\0\1\1\2\0" + bytes(36) + struct.pack(">HH", 2, 2)
    return head + bytes(width * (2 + 2 + 2))


@pytest.mark.parametrize(
    "given",
    [
        b"",
        SECRET.encode() * 20,
        profile()[:300],
        profile(rTRC=b"curv\0\0\0\0\xff\xff\xff\xff"),
        profile(rTRC=b"mAB \0\0\0\0" + SECRET.encode()),
        profile(rXYZ=b"text\0\0\0\0" + SECRET.encode()),
    ],
)
def test_a_colour_profile_that_cannot_be_followed_goes(given: bytes) -> None:
    """None; where one must be, a standard one stands for it (PS3.3 section C.8.12.5)."""
    assert clean_profile(given) is None
    (slice_,) = make_instances(1, ICCProfile=given or b"\0")
    path = Item()
    path.ICCProfile = given or b"\0"
    slice_.OpticalPathSequence = [path]
    out = cleaned(slice_)
    assert "ICCProfile" not in out
    assert out.OpticalPathSequence[0].ICCProfile == STANDARD_PROFILE


def test_the_standard_profile_is_one() -> None:
    """Also for other readers."""
    read = ImageCms.ImageCmsProfile(BytesIO(STANDARD_PROFILE))
    assert read.profile.xcolor_space.strip() == "RGB"


def test_signals_go_out_with_their_numbers(corpus: Path) -> None:
    """An ECG: samples unchanged, its annotations only where content is cleaned."""
    path = corpus / "dicom/pydicom_core/test_files/waveform_ecg.dcm"
    source = dcmread(path)
    for options in ((), (Option.CLEAN_STRUCTURED_CONTENT,)):
        out = dcmread(BytesIO(clean(path.read_bytes(), choosing(*options))[1]))
        assert [each.WaveformData for each in out.WaveformSequence] == [
            each.WaveformData for each in source.WaveformSequence
        ]
        assert ("WaveformAnnotationSequence" in out) is bool(options)
