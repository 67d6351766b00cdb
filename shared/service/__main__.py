"""``python -m shared.service package.module:build``."""

import sys

from shared.service.running import factory, run


def main() -> int:
    """Build the service that the argument names, and run it."""
    if len(sys.argv) != 2:
        sys.stderr.write("usage: python -m shared.service package.module:build\n")
        return 2
    return run(factory(sys.argv[1])())


if __name__ == "__main__":
    sys.exit(main())
