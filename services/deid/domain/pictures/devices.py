"""The catalogue of devices that burn text into their pictures, and where."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import yaml

from services.deid.domain.dataset import Elements
from services.deid.domain.pictures.boxes import Box, Boxes
from services.deid.domain.pictures.picture import COLUMNS, ROWS, Picture
from shared.yaml_lines import DocumentRefused, LineReader, MappingNode, Node, SequenceNode, compose

_PIXELS = re.compile(r"0|[1-9]\d{0,5}")


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

    def with_those_of(self, text: str, source: str = "devices.yaml") -> "Devices":
        """These, and those of a site's file; DocumentRefused lists every problem by line."""
        attributes, _ = _shipped()
        return Devices(self.devices + _read(text, source, attributes))


class _DevicesReader(LineReader):
    """Devices, told by the ``attributes`` (tags by name)."""

    def __init__(self, attributes: Mapping[str, int]) -> None:
        super().__init__()
        self._attributes = attributes

    def devices(self, root: Node, keys: tuple[str, ...]) -> tuple[Device, ...]:
        found = self.mapping(root, "the catalogue", keys, required=("devices",))
        entries = self.sequence(found["devices"], "'devices'") if "devices" in found else ()
        return tuple(map(self._device, entries))

    def _device(self, node: Node) -> Device:
        keys = self.mapping(node, "a device", ("contains", "equals", "regions"), required=("regions",))
        if not keys.keys() & {"contains", "equals"}:
            self.refuse(node, "a device needs an attribute that tells it, in 'contains' or 'equals'")
        contains, equals = (self._told(keys[key], f"'{key}'") if key in keys else {} for key in ("contains", "equals"))
        return Device(contains, equals, self._regions(keys["regions"]) if "regions" in keys else ())

    def _told(self, node: Node, what: str) -> dict[int, str]:
        keys = self.mapping(node, what, self._attributes)
        if isinstance(node, MappingNode) and not node.value:
            self.refuse(node, f"{what} names no attribute")
        return {self._attributes[name]: self.text(value, f"'{name}'") for name, value in keys.items()}

    def _regions(self, node: Node) -> Boxes:
        if not isinstance(node, SequenceNode):
            self.refuse(node, "'regions' must be a list; an empty one says that nothing is burned in")
            return ()
        return tuple(map(self._region, node.value))

    def _region(self, node: Node) -> Box:
        texts = [str(each.value) for each in node.value] if isinstance(node, SequenceNode) else []
        if len(texts) != 4 or not all(map(_PIXELS.fullmatch, texts)) or "0" in texts[2:]:
            self.refuse(node, "a region must be x, y, width and height in pixels, such as [0, 0, 640, 40]")
            return Box(0, 0, 0, 0)
        left, top, width, height = map(int, texts)
        return Box(left, top, left + width, top + height)


def _read(
    text: str, source: str, attributes: Mapping[str, int], keys: tuple[str, ...] = ("devices",)
) -> tuple[Device, ...]:
    reader = _DevicesReader(attributes)
    devices = reader.devices(compose(text, source), keys)
    if reader.problems:
        raise DocumentRefused(source, reader.problems)
    return devices


@cache
def _shipped() -> tuple[Mapping[str, int], tuple[Device, ...]]:
    """The attributes that tell devices, tags by name, and the devices that ship with the service."""
    text = (files("services.deid.domain") / "tables" / "devices.yaml").read_text("utf-8")
    attributes = {name: int(tag, 16) for name, tag in yaml.safe_load(text)["attributes"].items()}
    return attributes, _read(text, "tables/devices.yaml", attributes, ("attributes", "devices"))


@cache
def standard_devices() -> Devices:
    """The catalogue that ships with the service, read once."""
    return Devices(_shipped()[1])
