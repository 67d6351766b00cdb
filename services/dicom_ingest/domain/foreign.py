"""Files that are something else as well: the preamble of a DICOM file may hold anything (PS3.10 section 7.1).

What a computer would run or open by its first bytes is told of. TIFF is not: whole slide images are meant to be both.
"""

FOREIGN_MAGIC = "foreign-magic"

#: Programs, then documents and pictures that others open.
_MAGICS = (
    b"MZ",
    b"\x7fELF",
    b"#!",
    b"\xfe\xed\xfa\xce",
    b"\xfe\xed\xfa\xcf",
    b"\xce\xfa\xed\xfe",
    b"\xcf\xfa\xed\xfe",
    b"\xca\xfe\xba\xbe",
    b"%PDF",
    b"%!",
    b"PK\x03\x04",
    b"Rar!",
    b"7z\xbc\xaf",
    b"\x1f\x8b\x08",
    b"GIF8",
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"{\\rtf",
    b"\xd0\xcf\x11\xe0",
)
#: Readers look for it in the first kilobyte.
_ANYWHERE = b"%PDF-"


def is_foreign(beginning: bytes) -> bool:
    """Whether it begins like a program or a document and not like DICOM."""
    return beginning.startswith(_MAGICS) or _ANYWHERE in beginning
