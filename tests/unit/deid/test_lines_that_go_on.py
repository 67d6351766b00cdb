"""Lines of which a network sees a part, and what it sees where nothing is written: the edges of what was blanked."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pydicom.uid import ExplicitVRLittleEndian

from services.deid.adapters.examining import Examiner
from services.deid.adapters.pictures import ProcessPictures
from services.deid.domain.pictures.boxes import Box, Boxes
from services.deid.domain.pictures.continuing import continued
from services.deid.domain.pictures.detection import Thresholds, text_boxes
from services.deid.domain.pictures.picture import Picture
from services.deid.domain.pictures.rendering import Grey, stretched
from services.deid.domain.pictures.retouch import Care, Order
from tests.unit.deid.pictures import lettered

ROWS, COLUMNS = 200, 400
#: The brightness of letters, and the column in which speckle begins.
BRIGHT, EDGE = 110, 150


def across(size: int = 22) -> tuple[Grey, NDArray[np.bool_]]:
    """A line that begins on black and goes on in speckle; and its letters."""
    speckle = np.clip(np.random.default_rng(3).rayleigh(45, (ROWS, COLUMNS)), 0, 240)
    speckle[:, :EDGE] = 0
    page = Image.new("L", (COLUMNS, ROWS))
    ImageDraw.Draw(page).text((40, 90), "DOB 24/12/1945, 7L259", fill=255, font_size=size)
    letters = np.asarray(page) / 255
    return (speckle * (1 - letters) + BRIGHT * letters).astype(np.uint8), letters > 0.5


def around(letters: NDArray[np.bool_]) -> Box:
    """The least box with all of them."""
    rows, columns = np.nonzero(letters)
    return Box(int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)


@pytest.mark.parametrize("size", [14, 18, 22, 30])
@pytest.mark.parametrize("turned", [False, True])
def test_a_line_goes_on_as_long_as_its_brightness_does(size: int, turned: bool) -> None:
    """From what lies on black to the last letter in speckle, and no further than half a letter."""
    image, letters = across(size)
    whole = around(letters)
    found = continued(whole._replace(right=EDGE), image)
    if turned:
        left, top, right, bottom = continued(Box(whole.top, whole.left, whole.bottom, EDGE), image.T)
        found = Box(top, left, bottom, right)
    assert found.holds(whole._replace(right=whole.right - 3))
    assert found._replace(right=whole.right) == whole
    assert found.right <= whole.right + whole.height // 2


def test_a_line_goes_on_to_the_left_as_well() -> None:
    image, letters = across()
    whole = around(letters)
    mirrored = continued(Box(COLUMNS - EDGE, whole.top, COLUMNS - whole.left, whole.bottom), image[:, ::-1])
    assert mirrored.left <= COLUMNS - whole.right + 3


def test_a_line_goes_on_to_the_edge_of_the_picture() -> None:
    """A piece that is cut off is one as well."""
    image, letters = across()
    whole = around(letters)
    cut = image[:, : whole.right - 3]
    assert continued(whole._replace(right=EDGE), cut).right > whole.right - 8


def test_a_ground_as_bright_as_letters_is_no_line() -> None:
    """White letters on black beside a white sheet."""
    image, letters = across()
    image[:, EDGE:], whole = BRIGHT, around(letters)
    image[:, :EDGE][letters[:, :EDGE]] = BRIGHT
    line = Box(whole.left, whole.top, EDGE - 10, whole.bottom)
    assert continued(line, image).right <= EDGE


def test_noise_has_no_brightness_of_its_own() -> None:
    """What a network takes for letters there is not made longer."""
    speckle = np.random.default_rng(4).rayleigh(45, (ROWS, COLUMNS)).clip(0, 240).astype(np.uint8)
    boxes = [Box(left, top, left + 60, top + 16) for left in range(20, 300, 40) for top in range(20, 150, 30)]
    assert [continued(box, speckle) for box in boxes] == boxes


@pytest.mark.parametrize("box", [Box(4, 4, 4, 4), Box(4, 4, 40, 4), Box(0, 0, 8, 8), Box(0, 0, 400, 200)])
def test_what_is_no_line_stays(box: Box) -> None:
    """Empty boxes lie between pieces of a line that touch."""
    assert continued(box, across()[0]) == box


def test_what_a_network_sees_of_a_line_is_blanked_with_the_rest() -> None:
    """Here one that sees what is on black alone."""
    image, letters = across()
    whole, twice = around(letters), np.zeros((2 * ROWS, 2 * COLUMNS), np.float32)
    twice[2 * whole.top + 6 : 2 * whole.bottom - 6, 2 * whole.left + 6 : 2 * EDGE - 6] = 0.9

    def likely(grey: Grey) -> NDArray[np.float32]:
        return twice if grey.shape == twice.shape else np.zeros(grey.shape, np.float32)

    covered = np.zeros(image.shape, np.bool_)
    for box in text_boxes(image, likely, Thresholds()):
        covered[box.top : box.bottom, box.left : box.right] = True
    assert covered[letters].all()


TEXTS = (((8, 50), "KILMISTER, IAN FRASER", 255, 22), ((5, 300), "MRN TL56114201", 0, 20),
         ((60, 185), "DOB 24/12/1945", 200, 14), ((250, 246), "ACC AHK34370489", 0, 14))  # fmt: skip
#: What changes with a line lies within so many pixels of it.
NEAR = 32


def chequered(seed: int) -> tuple[Grey, Boxes]:
    """A captured screen of squares with four lines, one of them on a plate; and where they stand."""
    squares = np.kron(np.random.default_rng(seed).choice([96, 160], (9, 12)), np.ones((40, 40)))
    page = Image.fromarray(squares.astype(np.uint8))
    draw = ImageDraw.Draw(page)
    draw.rectangle((58, 184, 190, 202), fill=0)
    boxes = []
    for at, text, fill, size in TEXTS:
        draw.text(at, text, fill=fill, font_size=size)
        left, top, right, bottom = draw.textbbox(at, text, font_size=size)
        boxes.append(Box(int(left), int(top), int(right), int(bottom)))
    return np.asarray(page), tuple(boxes)


def described(image: Grey) -> Picture:
    """What a header says of it."""
    rows, columns = image.shape
    return Picture(rows, columns, 1, 1, 8, 8, 7, False, "MONOCHROME2", 0, ExplicitVRLittleEndian)


@pytest.mark.parametrize("seed", [0, 3, 5, 9])
def test_edges_of_what_was_blanked_are_no_text(pictures: ProcessPictures, seed: int) -> None:
    """A network sees some there; the picture goes out, and is what it was away from its text."""
    image, boxes = chequered(seed)
    picture = described(image)
    order, frame = Order(picture, Care.ALWAYS), image.tobytes()
    (clean,) = pictures.clean(order, pictures.examine(order, [frame]), [frame], picture.syntax)
    assert clean is not None
    shown, away = np.frombuffer(clean, np.uint8).reshape(image.shape), np.ones(image.shape, np.bool_)
    for box in boxes:
        assert not shown[box.top : box.bottom, box.left : box.right].any()
        near = box.widened(NEAR, *image.shape)
        away[near.top : near.bottom, near.left : near.right] = False
    assert (shown == image)[away].all()


class Seeing:
    """Finds a box in a picture as it was, another in one of which something is blanked, and none near it or one."""

    def __init__(self, before: Boxes, after: Boxes, near: Boxes = ()) -> None:
        self._original, self._answers = stretched(lettered(text="")), (before, after, near)

    def text_boxes(self, image: Grey, near: Boxes | None = None) -> Boxes:
        before, after, asked = self._answers
        return asked if near is not None else before if np.array_equal(image, self._original) else after


@pytest.mark.parametrize(
    ("second", "told"),
    [
        (Seeing((), (Box(99, 99, 140, 120),)), {}),
        (Seeing((Box(200, 50, 240, 66),), ()), {}),
        (Seeing((Box(200, 50, 240, 66),), (), (Box(5, 205, 50, 220),)), {"left": 1}),
        (Seeing((), (), (Box(5, 205, 50, 220),)), {"left": 1}),
    ],
)
def test_text_is_left_where_both_networks_see_it(second: Seeing, told: dict[str, int]) -> None:
    """The other one looks at the picture as it was; both look at what is blanked, whether it finds more or not."""
    examiner = Examiner()
    examiner.__dict__ |= {"_first": Seeing((), (Box(5, 200, 60, 220),)), "_second": second}
    grey = lettered(text="")
    picture = described(grey)
    request = {"do": "clean", "picture": picture.facts(), "cleared_bits": 0, "boxes": [(0, 40, 50, 60)], "maybe": []}
    request |= {"syntax": ExplicitVRLittleEndian, "approved": False}
    assert examiner.answer(request, grey.tobytes())[0] == told


class Always:
    """Finds one box, wherever it looks."""

    def __init__(self, box: Box) -> None:
        self._box = box

    def text_boxes(self, image: Grey, near: Boxes | None = None) -> Boxes:
        return (self._box,) if near is None else ()


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (Box(30, 24, 90, 44), {}),  # a part of the line
        (Box(0, 10, 140, 60), {}),  # it, with what is above and below
        (Box(60, 0, 80, 60), {"same": True}),  # something that crosses it
        (Box(30, 44, 90, 60), {"same": True}),  # something below
    ],
)
def test_text_of_another_frame_is_blanked_where_this_one_has_some_there(found: Box, told: dict[str, bool]) -> None:
    """Places are told in the piece that is looked at: 24 pixels more than the box on each side."""
    examiner, grey = Examiner(), lettered(text="")
    examiner.__dict__ |= {"_first": Always(found), "_second": Always(Box(0, 0, 0, 0))}
    request = {"do": "clean", "picture": described(grey).facts(), "cleared_bits": 0, "boxes": []}
    request |= {"syntax": ExplicitVRLittleEndian, "approved": False, "maybe": [(100, 100, 200, 124)]}
    assert examiner.answer(request, grey.tobytes())[0] == told
