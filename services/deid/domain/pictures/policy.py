"""What a profile asks of pictures beyond the option itself."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PicturePolicy:
    """Part ``pictures`` of a profile: what is blanked unseen, and what is withheld although it could be cleaned."""

    #: Only devices of the catalogue go out, where the class of the picture is a risky one.
    known_devices_only: bool = False
    #: Secondary captures are cleaned like others; False withholds them.
    secondary_capture: bool = True
    #: What lies outside of Sequence of Ultrasound Regions (0018,6011) is blanked.
    only_ultrasound_regions: bool = False
