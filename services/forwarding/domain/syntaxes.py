"""Transfer syntaxes as far as sending in another one must know them (PS3.5 section 10, annex A; PS3.6 table A-1)."""

from services.forwarding.domain.answers import CONTEXT_REFUSED, SYNTAX_REFUSED

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
JPEG_2000 = "1.2.840.10008.1.2.4.90"
#: Nothing is compressed in them: they differ in how elements are written.
NATIVE = {IMPLICIT, EXPLICIT, BIG_ENDIAN}
#: What decodes a syntax that is lossless by its definition, as pydicom names it.
PLUGINS = {
    "1.2.840.10008.1.2.4.57": "gdcm",  # JPEG lossless, process 14
    "1.2.840.10008.1.2.4.70": "gdcm",  # the same with selection value 1
    "1.2.840.10008.1.2.4.80": "gdcm",  # JPEG-LS lossless
    JPEG_2000: "gdcm",
    "1.2.840.10008.1.2.5": "pydicom",  # RLE
}
#: What is, or may be, compressed with loss: JPEG, JPEG-LS, JPEG 2000, MPEG-2, MPEG-4, HEVC, JPEG XL, HTJ2K.
LOSSY = {f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 81, 91, 93, *range(100, 109), 111, 112, 203)}

#: Reasons of instances that a destination does not take as they are.
LOSSY_REFUSED = "lossy-not-decompressed"
DECOMPRESSION_FAILED = "decompression-failed"
RE_ENCODING_FAILED = "re-encoding-failed"
TOO_LARGE = "decompression-too-large"
#: What is said of an instance that arrived decompressed, or with its elements written in another way.
DECOMPRESSED = "decompressed"
RE_ENCODED = "re-encoded"
#: Reasons that speak of the transfer syntax: of a context, of an HTTP request, and of one in a store instances response
#: (PS3.18 section 10.5.3 and annex I).
ABOUT_THE_SYNTAX = {SYNTAX_REFUSED, CONTEXT_REFUSED, "http-415", "status-c122"}


def is_lossless(syntax: str) -> bool:
    """Whether what it compresses can be given back as it was, and we know how."""
    return syntax == DEFLATED or syntax in PLUGINS


def others(syntax: str, *, may_decompress: bool, over_http: bool) -> tuple[str, ...]:
    """In what an instance may be sent, in this order, where its own syntax is refused.

    Implicit VR Little Endian, which every application entity takes (PS3.5 section 10.1), is none of web services
    (PS3.18 section 8.7.3).
    """
    if syntax not in NATIVE and not (may_decompress and is_lossless(syntax)):
        return ()
    return tuple(one for one in ((EXPLICIT,) if over_http else (EXPLICIT, IMPLICIT)) if one != syntax)
