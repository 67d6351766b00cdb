"""Runs in an environment of the peers' own: ``python deid_peers.py TOOL IN OUT`` prints files, seconds, CPU seconds.

Each tool is called as its documentation calls it, for one file at a time, with its defaults.
"""

import json
import logging
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path


def dicognito(out: Path) -> Callable[[Path], None]:
    """dicognito's Anonymizer."""
    import pydicom
    from dicognito.anonymizer import Anonymizer

    anonymizer = Anonymizer()

    def one(path: Path) -> None:
        with pydicom.dcmread(path) as dataset:
            anonymizer.anonymize(dataset)
            dataset.save_as(out / path.name)

    return one


def dicom_anonymizer(out: Path) -> Callable[[Path], None]:
    """dicom-anonymizer, with the rules that it ships."""
    from dicomanonymizer import anonymize_dicom_file

    return lambda path: anonymize_dicom_file(str(path), str(out / path.name))


def deid(out: Path) -> Callable[[Path], None]:
    """pydicom's deid with its recipe; identifiers of sequences are not asked for."""
    from deid.config import DeidRecipe
    from deid.dicom import get_identifiers, replace_identifiers

    recipe = DeidRecipe()

    def one(path: Path) -> None:
        files = [str(path)]
        ids = get_identifiers(files, expand_sequences=False)
        replace_identifiers(
            dicom_files=files, deid=recipe, ids=ids, save=True, overwrite=True, output_folder=str(out),
            remove_private=True,
        )  # fmt: skip

    return one


TOOLS = {"dicognito": dicognito, "dicom-anonymizer": dicom_anonymizer, "deid": deid}


def main() -> None:
    """The first file warms up and is not counted."""
    tool, source, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    one = TOOLS[tool](out)
    first, *files = sorted(source.glob("*.dcm"))
    one(first)
    started, spent = time.perf_counter(), time.process_time()
    for path in files:
        one(path)
    seconds, cpu = time.perf_counter() - started, time.process_time() - spent
    if len(list(out.glob("*.dcm"))) != len(files) + 1:
        raise SystemExit(f"{tool} did not write every file")
    print("\n" + json.dumps({"files": len(files), "seconds": seconds, "cpu": cpu}))


if __name__ == "__main__":
    main()
