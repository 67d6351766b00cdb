"""Memory that is free goes back to the system."""

import ctypes

#: Of <malloc.h>: blocks of at least so many bytes are mapped one by one.
_M_MMAP_THRESHOLD = -3
_THRESHOLD = 128 * 1024


async def return_large_blocks() -> None:
    """Keep glibc's malloc from hoarding, in services that take up and drop large blocks on many threads.

    Of its own accord it keeps every freed block up to the largest that it saw (mallopt(3)), in heaps of each thread
    that fill with holes: 50 MB after ten packs that were read in pieces, 4 to 6 MB for each association whose greeting
    had 1 MiB, where 0.6 MB are in use. Elsewhere than on glibc nothing is done.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _THRESHOLD)
