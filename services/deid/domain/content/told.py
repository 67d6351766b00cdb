"""What the de-identification statement says of contents (PS3.15 section E.1; docs/adr/0034)."""

from collections.abc import Iterator

from services.deid.domain.options import Option
from services.deid.domain.profile import Profile


def told(profile: Profile) -> Iterator[str]:
    """One sentence for each kind of content, as the options of ``profile`` have it cleaned."""
    yield (
        "Compressed frames keep what decodes them: comments, application segments, boxes and surplus bytes are cut "
        "out. Bits of samples that are none of the image's, where overlays used to lie, are cleared. ICC profiles are "
        "made anew of their numbers; lookup tables have the length that they say."
    )
    if profile.has(Option.CLEAN_STRUCTURED_CONTENT):
        yield (
            "Content items keep their places; their values go by concept (PS3.15 2025e Table E.3.4-1), where an X is a "
            "dummy, too; so is what tells who the patient is under codes of LOINC, SNOMED CT and NCIt. Ages are capped "
            "wherever they are measured. An item of an unknown value type becomes an empty text. CDA documents are "
            "written anew from published codes, numbers and cleaned narrative."
        )
    else:
        yield "Of content trees references to objects stay, else one item without content; CDA documents are replaced."
    if profile.has(Option.CLEAN_GRAPHICS):
        yield "Graphic objects keep their points and lines; overlay planes are removed, not cleaned."
    else:
        yield "A point takes the place of graphic annotations."
    yield "PDF documents and models are replaced by empty ones. Waveforms keep their samples; sound is withheld."
