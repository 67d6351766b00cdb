"""What encoders write of themselves into the comments of their code streams."""

import re

#: Names with versions as each of them counts; no version has room for a number of anybody's.
_ENCODER = re.compile(
    rb"(Created by (GDCM/)?OpenJPEG version [12]\.\d{1,2}(\.\d)?|(Creator: )?JasPer Version [1-4]\.\d{1,3}\.\d{1,2}|"
    rb"OpenJPH Ver 0\.\d{1,2}\.\d{1,2}\.?|Kakadu-v?[2-9](\.\d{1,2}){0,2}|CharLS [12]\.\d\.\d)[\0 ]?"
)


def is_encoder(comment: bytes) -> bool:
    """True for the name and version of an encoder, and nothing else."""
    return _ENCODER.fullmatch(comment) is not None
