"""UIDs of a source that a profile retains: which of them stay is told by each alone, so it is the same in all objects.

References lead somewhere only where a UID becomes the same everywhere, and no two become one. So what the header at
hand says never decides what becomes of a UID; it may only hold the whole object back.
"""

import re
from dataclasses import dataclass

from services.deid.domain.dictionary import is_registered
from services.deid.domain.identifiers import Identifiers
from services.deid.domain.options import Option
from services.deid.domain.profile import Profile
from services.deid.domain.pseudonyms import ProjectKey
from services.deid.domain.values import is_uids, new_uid

_YEAR, _MONTH, _DAY = r"(?:18|19|20)\d\d", r"(?:0[1-9]|1[0-2])", r"(?:0[1-9]|[12]\d|3[01])"
_TIME = r"(?:[01]\d|2[0-3])[0-5]\d"
#: Within a date whose parts are components of their own.
_NUMBER = r"(?:0?[1-9]|[12]\d|3[01])"
#: What a UID looks like that tells a day: a component that is a date, alone or with a time of day behind it; one that
#: begins with 300000 and has a short year, which is how a large vendor counts; three components with a whole year.
_TELLS_DAY = re.compile(
    r"(?:^|\.)(?:"
    rf"{_YEAR}{_MONTH}{_DAY}(?:{_TIME}\d*)?"
    rf"|300000\d\d{_MONTH}{_DAY}{_TIME}\d*"
    rf"|{_YEAR}\.{_NUMBER}\.{_NUMBER}|{_NUMBER}\.{_NUMBER}\.{_YEAR}"
    r")(?=\.|$)"
)
#: An enterprise by its number with IANA (RFC 9371), which may be that of a year: 1.3.6.1.4.1.2009 is no 4 January.
_ENTERPRISE = re.compile(r"1\.3\.6\.1\.4\.1\.\d+")


class NamedByUid(Exception):
    """A UID that stays everywhere holds an identifier of this object's patient or case."""


def tells_day(uid: str) -> bool:
    """Whether components of ``uid`` (PS3.5 section 9.1) have the form of a date; none of the standard's own."""
    root = _ENTERPRISE.match(uid)
    return _TELLS_DAY.search(uid, root.end() if root else 0) is not None and not is_registered(uid)


def stays(uid: str, profile: Profile) -> bool:
    """Whether a UID that ``profile`` retains stays: it tells no day, or days stay as well."""
    days_stay = profile.has(Option.FULL_DATES) and not profile.has(Option.MODIFIED_DATES)
    return is_uids(uid.encode("latin-1", "replace")) and (days_stay or not tells_day(uid))


@dataclass(frozen=True)
class RetainedUids:
    """Decides on the retained UIDs of one data set."""

    profile: Profile
    names: Identifiers
    key: ProjectKey

    def kept(self, value: bytes) -> bytes | None:
        """``value`` with new UIDs for those that may not stay, None when none of them may.

        Raises NamedByUid when one that stays holds what a header of its study names: replaced here alone, it would tear
        apart what belongs together.
        """
        uids = [uid.strip(" \0") for uid in value.decode("latin-1").split("\\")]
        staying = {uid for uid in uids if stays(uid, self.profile)}
        if any(self.names.in_uids(uid.encode()) for uid in staying):
            raise NamedByUid
        if staying.issuperset(uids) or not staying:
            return value if staying else None
        return "\\".join(uid if uid in staying else new_uid(uid, self.key) for uid in uids).encode()
