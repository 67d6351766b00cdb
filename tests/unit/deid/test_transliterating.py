"""Cyrillic and Greek names in Latin letters."""

import pytest

from services.deid.domain.transliterating import transliterations
from tests.unit.deid.test_known_values import named


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Люксембург^Роза", "Lyuksemburg"),
        ("Люксембург^Роза", "Ljuksemburg"),
        ("Люксембург^Роза", "LIUKSEMBURG"),
        ("Люксембург^Роза", "Lûksemburg"),
        ("Люксембург^Роза", "R.Lyuksemburg"),
        ("Щербаков^Алексей", "Shcherbakov"),
        ("Щербаков^Алексей", "Aleksey"),
        ("Щербаков^Алексей", "Alexei Ščerbakov"),
        ("Грушевський^Юрій", "Hrushevskyi"),
        ("Грушевський^Юрій", "Iurii H"),
        ("Ђорђевић^Љубиша", "Djordjević"),
        ("Διονύσιος^Σολωμός", "Dionysios"),
        ("ΔΙΟΝΥΣΙΟΣ^ΣΟΛΩΜΟΣ", "SOLOMOS"),
        ("Μπακογιάννη^Ευαγγελία", "Bakogianni"),
        ("Μπακογιάννη^Ευαγγελία", "Evangelia"),
        ("Μπακογιάννη^Ευαγγελία", "Euangelia"),
        ("Παπαδόπουλος^Δημήτριος", "Papadopoulos"),
        ("Παπαδόπουλος^Δημήτριος", "Demetrios"),
        ("Ευθυμίου^Παύλος", "Efthymiou"),
    ],
)
def test_a_name_is_found_as_it_is_written_in_latin_letters(name: str, text: str) -> None:
    """By each of the usual systems, also beside an initial."""
    assert named(name).in_text(f"chest {text} 2")


def test_others_are_not() -> None:
    for text in ("Luxemburg", "Rosa", "liver", "Lyuksem"):
        assert not named("Люксембург^Роза").in_text(f"chest {text} 2")


@pytest.mark.parametrize("name", ["Kilmister^Ian", "山田^太郎", "Müller", ""])
def test_other_letters_have_none(name: str) -> None:
    assert transliterations(name) == frozenset()
