"""``python -m bench [NAME …]`` (``make bench BENCH=name``): run all, or those named; exit 1 when one fails."""

import importlib
import pkgutil
import sys
import traceback

import bench

#: Modules that serve the benchmarks and are none.
_SUPPORT = {
    "deid_detection",
    "deid_inputs",
    "deid_ours",
    "deid_peers",
    "fhir_data",
    "hl7_receivers",
    "processes",
    "receivers",
    "senders",
    "support",
    "worklist_asking",
}


def names() -> list[str]:
    """Every benchmark of this folder."""
    found = (module.name for module in pkgutil.iter_modules(bench.__path__) if not module.name.startswith("_"))
    return sorted(set(found) - _SUPPORT)


def main() -> int:
    """Run them one after the other; each prints its table and, last, one JSON line."""
    wanted = sys.argv[1:] or names()
    unknown = set(wanted) - set(names())
    if unknown:
        print(f"no such benchmark: {', '.join(sorted(unknown))}; there are: {', '.join(names())}", file=sys.stderr)
        return 2
    return max(map(_run, wanted))


def _run(name: str) -> int:
    """One benchmark's exit status; one that breaks keeps none of the others from running."""
    try:
        return int(importlib.import_module(f"bench.{name}").main())
    except Exception:
        traceback.print_exc()
        return 1


if __name__ == "__main__":
    sys.exit(main())
