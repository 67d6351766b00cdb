"""The scorer of pixels can fail: lettering counts as hidden only where nothing stands out."""

import numpy as np
import pytest

from tests.unit.deid.pixel_scoring import hidden

LETTERS = np.zeros((12, 40), np.bool_)
LETTERS[2:10, 4:36:4] = True


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("ground", [0, 90])
def test_letters_of_one_brightness_are_not_hidden(samples: int, ground: int) -> None:
    """Those of a bitmap font, for one: none differs from the others."""
    box = np.full((12, 40, samples), ground)
    box[LETTERS] = 230
    assert hidden(box, LETTERS, 255) == 0


def test_blanked_letters_are_hidden() -> None:
    assert hidden(np.zeros((12, 40, 1), np.int64), LETTERS, 255) == 1


def test_a_letter_that_was_left_counts() -> None:
    """One of eight."""
    box = np.zeros((12, 40, 1), np.int64)
    box[2:10, 4] = 230
    assert hidden(box, LETTERS, 255) == 7 / 8
