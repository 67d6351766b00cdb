"""Pictures in a palette: text shows in colours, not in the numbers that stand for them."""

import struct
from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, RLELossless

from services.deid.adapters.pictures import ProcessPictures
from services.deid.domain.dataset import EXPLICIT_LITTLE, Element
from services.deid.domain.pictures.palette import coloured, darkest, palette_of
from services.deid.domain.withholding import Reason, Withheld
from tests.support.instances import as_file
from tests.unit.deid.originals import clean
from tests.unit.deid.pictures import PLACE, cleaning, lettered, picture

ENTRIES = 256
#: Which stored value stands for which grey: neighbours in number are far apart in brightness.
ORDER = np.random.default_rng(9).permutation(ENTRIES)


def indexed(syntax: str, order: NDArray[np.int64] = ORDER) -> tuple[Dataset, NDArray[np.uint8]]:
    """A picture with text whose stored values are shuffled, and what is shown of it."""
    grey = lettered()
    stored = np.argsort(order).astype(np.uint8)[grey]
    image = picture([stored], syntax, PhotometricInterpretation="PALETTE COLOR")
    mark = ">" if syntax == ExplicitVRBigEndian else "<"
    for name in ("Red", "Green", "Blue"):
        setattr(image, f"{name}PaletteColorLookupTableDescriptor", [ENTRIES, 0, 16])
        table = (order.astype(np.uint16) * 257).astype(f"{mark}u2").tobytes()
        setattr(image, f"{name}PaletteColorLookupTableData", table)
    return image, grey


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless])
def test_text_that_only_the_palette_shows_goes(pictures: ProcessPictures, syntax: str) -> None:
    """Blanked with the value that is shown darkest; what is away from the text stays, and so does the palette."""
    image, grey = indexed(syntax)
    _, file = clean(as_file(image), cleaning(pictures))
    after = dcmread(BytesIO(file))
    left = ORDER[after.pixel_array]
    assert set(left[grey > 100].tolist()) == {0}
    away = np.ones(grey.shape, np.bool_)
    away[PLACE] = False
    assert (left == grey)[away].all()
    assert after.PhotometricInterpretation == "PALETTE COLOR"
    assert after.RedPaletteColorLookupTableData == image.RedPaletteColorLookupTableData


def described(entries: int, first: int, bits: int, table: bytes) -> tuple[Element, ...]:
    """Three tables alike."""
    descriptor = struct.pack("<HHH", entries, first & 0xFFFF, bits)
    return (
        *(Element(0x00281101 + at, "US", descriptor) for at in range(3)),
        *(Element(0x00281201 + at, "OW", table) for at in range(3)),
    )


@pytest.mark.parametrize(
    ("entries", "bits", "table"),
    [
        (3, 16, struct.pack("<3H", 0x1000, 0x2000, 0xFF00)),
        (3, 8, struct.pack("<3H", 0x10, 0x20, 0xFF)),
        (3, 8, b"\x10\x20\xff\0"),
    ],
)
def test_tables_of_words_and_of_bytes(entries: int, bits: int, table: bytes) -> None:
    """Values below the first entry have its colour, those beyond the last have that one's."""
    palette = palette_of(described(entries, 5, bits, table), EXPLICIT_LITTLE, signed=False)
    shown = coloured(np.array([[0, 5, 6, 7, 200]], np.uint8), palette)
    assert shown[0, :, 0].tolist() == [0x10, 0x10, 0x20, 0xFF, 0xFF]
    assert darkest(palette) == 5


def test_signed_values_have_signed_entries() -> None:
    palette = palette_of(described(2, -1, 16, struct.pack("<2H", 0xFF00, 0)), EXPLICIT_LITTLE, signed=True)
    assert coloured(np.array([[-1, 0]], np.int8), palette)[0, :, 2].tolist() == [255, 0]
    assert darkest(palette) == 0


@pytest.mark.parametrize(
    "elements",
    [
        (),
        described(256, 0, 16, b""),
        described(4, 0, 12, bytes(8)),
        described(4, 0, 16, bytes(7)),
        described(2, 0, 16, bytes(4))[1:],
    ],
)
def test_a_palette_that_cannot_be_read_withholds_its_picture(elements: tuple[Element, ...]) -> None:
    """In segments, cut short, of other depths, or none at all."""
    with pytest.raises(Withheld) as refused:
        palette_of(elements, EXPLICIT_LITTLE, signed=False)
    assert refused.value.code is Reason.PIXELS_UNREADABLE
