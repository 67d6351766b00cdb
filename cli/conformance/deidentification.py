"""The de-identification statement as a page: one part for each profile that is shipped."""

from pathlib import Path

from services.deid.domain.profile_file import read_profile
from services.deid.domain.statement import statement_of

PATH = "docs/conformance/deidentification.md"
PROFILES = Path(__file__).parents[2] / "examples" / "profiles"

_HEAD = """# De-identification statement

Generated from `examples/profiles` and the tables of `services/deid/domain/tables` by `make flow`; do not edit. It is
what DICOM PS3.15 section E.1 asks of a conformance statement: what is removed, what takes its place and how that is
made, how far UIDs stay consistent, which options are carried out, and what is restricted beyond the standard.

An object is told to be de-identified by Patient Identity Removed (0012,0062) `YES`, De-identification Method
(0012,0063) with edition, profile, version and legal basis, De-identification Method Code Sequence (0012,0064) with one
item for the Basic Profile and for each option *that was carried out on this object*, and Longitudinal Temporal
Information Modified (0028,0303). What can't be examined completely is withheld, with a reason
([formats](../formats.md)).

A site's own profile is such a file. Single attributes have rules of their own there, which come before options and
table; what contradicts itself, the legal basis or what can be done is refused with its line:

```yaml
format: causeway.profile/1
name: cardiac-trial
version: "3"
legal_basis: expert
options: [clean_descriptors, retain_longitudinal_modified_dates, retain_safe_private]
oldest_age: 90
attributes:
  - {attribute: PatientSize, do: keep}                     # keep, clean, remove, empty, replace
  - {attribute: "(0018,1030)", do: replace, with: CARDIAC}
safe_private:
  - {creator: "ACME MR", element: "0019,xx9E", vr: DS}
hold:
  sop_classes: [1.2.840.10008.5.1.4.1.1.7]
  faces: true
```

Of several options that speak of one attribute, modified dates come before a K, and K before C. A value that an option
retains and that is none of its kind, or names the patient, falls back to the Basic Profile's rule.
"""


def page() -> str:
    """The whole page, in Markdown."""
    profiles = (read_profile(path.read_text("utf-8"), path.name) for path in sorted(PROFILES.glob("*.yaml")))
    return "\n".join([_HEAD, *map(statement_of, profiles)])
