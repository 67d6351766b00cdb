"""Pictures with text in them, made afresh in every transfer syntax."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels import get_encoder
from pydicom.uid import UID, UltrasoundImageStorage

from services.deid.adapters.second_engine import SecondEngine
from services.deid.domain.options import Option
from services.deid.domain.part10 import Project
from services.deid.domain.pictures.retouch import Pictures
from services.deid.domain.profile import Profile
from services.deid.domain.pseudonyms import ProjectKey
from services.deid.domain.rules import standard_rules
from services.deid.domain.withholding import standard_refusal
from tests.support.instances import make_instances

TEXT = "KILMISTER, IAN 24/12/1945"
#: Where it stands, with room around it: rows and columns.
PLACE = (slice(85, 140), slice(0, 345))


def cleaning(pictures: Pictures, **profile: Any) -> Project:
    """A project whose profile has pixels cleaned, and read once more."""
    wanted = Profile("pixels", options=frozenset({Option.CLEAN_PIXEL_DATA}), **profile)
    refuse = standard_refusal(cleans_pixels=True)
    return Project(
        "research", ProjectKey(b"p" * 32), standard_rules(), refuse, wanted, pictures, None, SecondEngine(pictures)
    )


def lettered(rows: int = 300, columns: int = 400, text: str = TEXT, seed: int = 1) -> NDArray[np.uint8]:
    """A grey picture of speckle with a line of text."""
    speckle = np.random.default_rng(seed).rayleigh(12, (rows, columns))
    picture = Image.fromarray(np.clip(speckle, 0, 90).astype(np.uint8))
    ImageDraw.Draw(picture).text((40, 100), text, fill=230, font_size=18)
    return np.asarray(picture)


def picture(frames: Sequence[NDArray[Any]], syntax: str, *, stored: int = 8, **attributes: Any) -> Dataset:
    """An ultrasound image of these frames, in a transfer syntax without loss."""
    one = frames[0]
    colours = {"PhotometricInterpretation": "RGB", "PlanarConfiguration": 0} if one.ndim == 3 else {}
    described: dict[str, Any] = {
        "SOPClassUID": UltrasoundImageStorage,
        "Modality": "US",
        "Rows": one.shape[0],
        "Columns": one.shape[1],
        "SamplesPerPixel": 3 if one.ndim == 3 else 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 8 * one.dtype.itemsize,
        "BitsStored": stored,
        "HighBit": stored - 1,
        "PixelRepresentation": int(one.dtype.kind == "i"),
        "BurnedInAnnotation": "YES",
        **colours,
        **attributes,
    }
    if len(frames) > 1:
        described["NumberOfFrames"] = len(frames)
    (image,) = make_instances(1, **described)
    image.file_meta.TransferSyntaxUID = UID(syntax)
    if UID(syntax).is_encapsulated:
        image.PixelData = encapsulate([encoded(frame, image) for frame in frames])
        image["PixelData"].VR = "OB"
    else:
        order = ">" if syntax == "1.2.840.10008.1.2.2" else "<"
        data = b"".join(frame.astype(frame.dtype.newbyteorder(order)).tobytes() for frame in frames)
        image.PixelData = data + b"\0" * (len(data) % 2)
        image["PixelData"].VR = "OW" if one.dtype.itemsize > 1 or syntax == "1.2.840.10008.1.2" else "OB"
    return image


def encoded(frame: NDArray[Any], image: Dataset) -> bytes:
    """The frame in the image's transfer syntax."""
    found: bytes = get_encoder(image.file_meta.TransferSyntaxUID).encode(
        frame.tobytes(),
        rows=image.Rows,
        columns=image.Columns,
        number_of_frames=1,
        samples_per_pixel=image.SamplesPerPixel,
        bits_allocated=image.BitsAllocated,
        bits_stored=image.BitsStored,
        pixel_representation=image.PixelRepresentation,
        photometric_interpretation=image.PhotometricInterpretation,
        planar_configuration=0,
    )
    return found
