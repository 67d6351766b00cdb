"""How closely an object's pixels are looked at: a matter of its class, its kind and what it says of itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import yaml

from services.deid.domain.cleaning import SOP_CLASS, text_of
from services.deid.domain.dataset import Elements, Encoding
from services.deid.domain.pictures.picture import picture_of
from services.deid.domain.pictures.retouch import Care, Order
from services.deid.domain.withholding import BURNED_IN, is_picture, standard_classes


@dataclass(frozen=True)
class Risks:
    """The table ``pictures.yaml``: care by group of SOP classes, and the group of each class."""

    care: Mapping[str, Care]
    group: Mapping[str, str]

    def order(self, elements: Elements, transfer_syntax: str, encoding: Encoding) -> Order | None:
        """What is to be done with the picture of this header, None when its pixels go as they are."""
        group = self.group.get(text_of(elements, SOP_CLASS), "")
        care = self.care.get(group, Care.NEVER)
        if care is Care.NEVER:
            return None
        flag = text_of(elements, BURNED_IN).upper()
        if flag == "YES" or is_picture(elements, flag):
            care = Care.ALWAYS
        return Order(picture_of(elements, transfer_syntax, encoding), care)


@cache
def standard_risks() -> Risks:
    """The table that ships with the service, read once."""
    document = yaml.safe_load((files("services.deid.domain") / "tables" / "pictures.yaml").read_text("utf-8"))
    care = {group: Care(care) for group, care in document["care"].items()}
    return Risks(care, standard_classes().group)
