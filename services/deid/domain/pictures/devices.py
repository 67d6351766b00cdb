"""The catalogue of devices that burn text into their pictures, and where."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from services.deid.domain.dataset import Elements
from services.deid.domain.pictures.boxes import Box, Boxes
from services.deid.domain.pictures.picture import COLUMNS, ROWS, Picture


@dataclass(frozen=True)
class Device:
    """What an object of this device says of itself, by tag: texts that are in a value, and values; and its regions."""

    contains: Mapping[int, str]
    equals: Mapping[int, str]
    regions: Boxes

    def made(self, elements: Elements, picture: Picture) -> bool:
        """True when the object says all of it, at any depth."""
        sizes = {ROWS: str(picture.rows), COLUMNS: str(picture.columns)}
        return all(
            any(text.casefold() in value.casefold() for value in _values(elements, tag))
            for tag, text in self.contains.items()
        ) and all(
            text in ((sizes[tag],) if tag in sizes else tuple(_values(elements, tag)))
            for tag, text in self.equals.items()
        )


def _values(elements: Elements, tag: int) -> Iterator[str]:
    for element in elements:
        if element.tag == tag and element.items is None:
            yield element.value.decode("latin-1").strip(" \0")
        for item in element.items or ():
            yield from _values(item, tag)


@dataclass(frozen=True)
class Devices:
    """All that are known."""

    devices: tuple[Device, ...]

    def regions(self, elements: Elements, picture: Picture) -> Boxes | None:
        """What the object's device burns in, within the picture; None when no known device made it."""
        made = [device for device in self.devices if device.made(elements, picture)]
        if not made:
            return None
        boxes = (box.widened(0, picture.rows, picture.columns) for device in made for box in device.regions)
        return tuple(sorted({box for box in boxes if box.width > 0 and box.height > 0}))

    def with_those_of(self, text: str) -> "Devices":
        """These, and those of a site's file."""
        return Devices(self.devices + tuple(_devices(_attributes(), yaml.safe_load(text)["devices"])))


def _document() -> Any:
    return yaml.safe_load((files("services.deid.domain") / "tables" / "devices.yaml").read_text("utf-8"))


def _attributes() -> Mapping[str, int]:
    return {name: int(tag, 16) for name, tag in _document()["attributes"].items()}


def _devices(attributes: Mapping[str, int], entries: Iterable[Any]) -> Iterator[Device]:
    for entry in entries:
        regions = (Box(left, top, left + width, top + height) for left, top, width, height in entry["regions"])
        contains, equals = (
            {attributes[name]: str(value) for name, value in entry.get(key, {}).items()}
            for key in ("contains", "equals")
        )
        if not contains and not equals:
            raise ValueError("a device needs an attribute that tells it")
        yield Device(contains, equals, tuple(regions))


@cache
def standard_devices() -> Devices:
    """The catalogue that ships with the service, read once."""
    return Devices(tuple(_devices(_attributes(), _document()["devices"])))
