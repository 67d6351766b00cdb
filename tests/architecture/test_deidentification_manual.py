"""The manual of de-identification names what the code has, and its examples can be used."""

import re

import pytest
import yaml

from cli.describe import ROOT
from services.deid.domain.options import Option
from services.deid.domain.pictures.devices import standard_devices
from services.deid.domain.pictures.policy import PicturePolicy
from services.deid.domain.profile import Dates, LegalBasis, Wish
from services.deid.domain.profile_file import _KEYS, read_profile
from services.deid.domain.record import DONE, PSEUDONYM

MANUAL = (ROOT / "docs/operations/deidentification.md").read_text()
STATEMENT = (ROOT / "docs/conformance/deidentification.md").read_text()
_YAML = re.compile(r"```yaml\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize(
    "name",
    [*_KEYS, *Option, *LegalBasis, *Dates, *Wish, *PicturePolicy.__annotations__, *DONE.values(), PSEUDONYM],
)
def test_whatever_a_profile_may_say_and_a_report_tells_is_named(name: str) -> None:
    assert f"`{name}`" in MANUAL


def test_the_catalogue_of_the_manual_can_be_read() -> None:
    (text,) = [each for each in _YAML.findall(MANUAL) if each.startswith("devices:")]
    assert len(standard_devices().with_those_of(text).devices) == len(standard_devices().devices) + 2


def test_the_manual_names_what_tells_a_device() -> None:
    table = yaml.safe_load((ROOT / "services/deid/domain/tables/devices.yaml").read_text())
    assert [name for name in table["attributes"] if not re.search(rf"\b{name}\b", MANUAL)] == []


def test_the_profile_of_the_statement_can_be_read() -> None:
    (text,) = _YAML.findall(STATEMENT)
    assert read_profile(text).has(Option.SAFE_PRIVATE)
