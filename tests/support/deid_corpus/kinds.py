"""The kinds of files: what is planted, and where."""

from collections.abc import Callable, Iterable, Iterator

from pydicom import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian

from services.deid.domain.rules import Row, standard_rules
from tests.support.deid_corpus.fates import expected
from tests.support.deid_corpus.people import Maker, Patient
from tests.support.deid_corpus.planting import HARMLESS, Planted, image, keep_acquisition, path_of, plant_row

#: What every image has already, pixels, documents, padding, and the issuer, with whom a patient is another one.
_TAKEN = frozenset({0x00080018, 0x00080016, 0x0020000D, 0x0020000E, 0x7FE00010, 0xFFFCFFFC, 0x00420011, 0x00100021})
Make = Callable[[Maker, Patient, int], Planted]


def rows_of_table() -> list[Row]:
    """Rows that a data set can hold in one element."""
    rows = standard_rules().rows
    return [row for tag, row in sorted(rows.items()) if row.vr != "SQ" and tag not in _TAKEN and tag >> 16 > 4]


def start(maker: Maker, patient: Patient, number: int, kind: str, **attributes: object) -> Planted:
    """A file with its UIDs and its patient in the key."""
    dataset = image(maker, patient, maker.uid(), maker.uid(), number, **attributes)
    target = Planted(f"{kind}/{number:03d}.dcm", kind, patient, number, dataset)
    rules = standard_rules()
    for tag in (0x00080018, 0x0020000D, 0x0020000E):
        row, value = rules.rows[tag], str(dataset[tag].value)
        needles = [[value, "uid", 1]]
        target.record("attribute", path_of(tag), "UI", value, needles, expected(row, "UI"), row, present=True)
    for tag in (0x00100010, 0x00100020):
        row, value = rules.rows[tag], str(dataset[tag].value)
        needles = [[each, "name", 0] for each in value.split("^")]
        target.record("attribute", path_of(tag), row.vr, value, needles, {"basic": "text_removed"}, row, present=True)
    keep_acquisition(target)
    return target


def rows(maker: Maker, patient: Patient, number: int, some: Iterable[Row]) -> Planted:
    """Rows of the table at top level."""
    target = start(maker, patient, number, "rows")
    known = {each["path"] for each in target.records}
    for row in some:
        if path_of(int(row.tag, 16)) not in known:
            plant_row(target, target.dataset, row, maker)
    return target


def nested(maker: Maker, patient: Patient, number: int, some: Iterable[Row]) -> Planted:
    """The same below a sequence that the table does not list; in implicit VR."""
    target = start(maker, patient, number, "nested")
    target.syntax = ImplicitVRLittleEndian
    inner, outer = Dataset(), Dataset()
    above = "(0008,2218)[0]/(0008,2228)[0]/"
    for row in some:
        # Implicit VR has only the dictionary's VRs: a newer attribute comes back as UN.
        plant_row(target, inner, row, maker, above)
    outer.add_new(0x00082228, "SQ", [inner])
    target.dataset.add_new(0x00082218, "SQ", [outer])
    return target


def private(maker: Maker, patient: Patient, number: int) -> Planted:
    """Private elements of an unknown creator, text in UN, and a creator that is a name."""
    target = start(maker, patient, number, "private")
    for group, creator in ((0x0009, "VENDOR " + maker.mark(5)), (0x0011, maker.name())):
        target.dataset.add_new(group << 16 | 0x0010, "LO", creator)
        for element, vr in ((0x1001, "LO"), (0x1002, "UN"), (0x1003, "UT")):
            mark = maker.mark()
            text = f"{mark} {patient.family} "
            value = text.encode() + b" " * (len(text) % 2) if vr == "UN" else text
            target.dataset.add_new(group << 16 | element, vr, value)
            needles = [[mark, "token", 1], [patient.family, "name", 0]]
            path = path_of(group << 16 | element)
            target.record("private", path, vr, text, needles, {"basic": "text_removed"}, creator=creator)
    return target


def free_text(maker: Maker, patient: Patient, number: int) -> Planted:
    """The patient in the middle of harmless words, also where the table does not look."""
    target = start(maker, patient, number, "freetext")
    target.syntax = DeflatedExplicitVRLittleEndian
    rules = standard_rules()
    for tag, vr in ((0x00081030, "LO"), (0x00204000, "LT"), (0x00104000, "LT")):
        mark = maker.mark()
        told = f"{HARMLESS} {patient.family} {patient.patient_id} {mark}"
        needles = [[patient.family, "name", 0], [patient.patient_id, "id", 0], [mark, "token", 1]]
        if vr == "LT":
            told = f"{HARMLESS} {patient.given} of {patient.street}, {patient.phone}, {patient.mail}. {mark}"
            needles = [[each, "name", 0] for each in (patient.given, patient.street, patient.phone, patient.mail)]
            needles.append([mark, "token", 1])
        target.dataset.add_new(tag, vr, told)
        row = rules.rows[tag]
        target.record("text", path_of(tag), vr, told, needles, expected(row, vr), row, harmless=HARMLESS)
    # Filter Type is no row of the table.
    target.dataset.add_new(0x00181160, "SH", patient.family)
    needles, gone = [[patient.family, "name", 0]], {"basic": "text_removed"}
    target.record("text", "(0018,1160)", "SH", patient.family, needles, gone, beyond_table=True)
    return target


def carrier(maker: Maker, patient: Patient, number: int) -> Planted:
    """Preamble, AE titles of the file meta, and padding behind the pixels."""
    target = start(maker, patient, number, "carrier")
    mark, title, padding = maker.mark(), maker.mark(), maker.mark()
    target.preamble = f"{mark} {patient.family}".encode().ljust(128, b"\0")[:128]
    target.dataset.file_meta.add_new(0x00020016, "AE", title)
    content = f"{padding} {patient.patient_id}".encode()
    target.dataset.add_new(0xFFFCFFFC, "OB", content + bytes(len(content) % 2))
    gone = {"basic": "text_removed"}
    needles = [[mark, "token", 1], [patient.family, "name", 0]]
    target.record("preamble", "(0010,0020)", "LO", mark, needles, gone)
    target.record("file_meta", "(0002,0016)", "AE", title, [[title, "token", 1]], gone)
    target.record("trailing", "(FFFC,FFFC)", "OB", padding, [[padding, "token", 1]], gone)
    return target


def charset(maker: Maker, patient: Patient, number: int) -> Planted:
    """A person's name in letters of another alphabet."""
    target = start(maker, patient, number, "charset")
    encoding, codec, letters = maker.random.choice(
        [("ISO_IR 100", "latin-1", "éöñø"), ("ISO_IR 144", "iso8859_5", "жщюя"), ("ISO_IR 192", "utf-8", "漢字ğż")]
    )
    name = "".join(maker.random.choice(letters) for _ in range(6)) + maker.mark(4).lower()
    target.dataset.SpecificCharacterSet = encoding
    target.dataset.add_new(0x00081050, "PN", f"{name}^X")
    row = standard_rules().rows[0x00081050]
    needles = [[name, "person", 1]]
    target.record("charset", "(0008,1050)", "PN", name, needles, expected(row, "PN"), row, encs=[codec])
    return target


def dates(maker: Maker, patient: Patient, number: int) -> Planted:
    """Dates of one patient that must move together."""
    target = start(maker, patient, number, "dates")
    for tag in (0x00080020, 0x00080021, 0x00080022, 0x0008002A, 0x00080030):
        plant_row(target, target.dataset, standard_rules().rows[tag], maker)
    return target


def references(maker: Maker, patient: Patient, first: int, second: int) -> Iterator[Planted]:
    """Two slices of a series, the second of which names the first."""
    one, two = (start(maker, patient, number, "series") for number in (first, second))
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = one.dataset.SOPClassUID, one.sop
    two.dataset.add_new(0x00082112, "SQ", [item])
    row = standard_rules().rows[0x00081155]
    needles = [[one.sop, "uid", 0]]
    path = "(0008,2112)[0]/(0008,1155)"
    two.record("references", path, "UI", one.sop, needles, expected(row, "UI"), row, anc=["(0008,2112)"])
    yield from (one, two)
