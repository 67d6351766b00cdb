"""What encoders write of themselves into the comments of their code streams."""

import re

_ENCODER = re.compile(
    rb"(Created by (GDCM/)?OpenJPEG version [\d.]{1,16}|(Creator: )?JasPer Version [\d.]{1,16}|"
    rb"OpenJPH Ver [\d.]{1,16}|Kakadu-v?[\d.]{1,16}|CharLS [\d.]{1,16})[\0 ]?"
)


def is_encoder(comment: bytes) -> bool:
    """True for the name and version of an encoder, and nothing else."""
    return _ENCODER.fullmatch(comment) is not None
