"""``python deid_detection.py TOOL`` prints CPU seconds of looking for text in one ultrasound picture of 1024 × 768.

Ours is the first look as the engine takes it; RapidOCR's own detector runs the same network in the environment of the
peers. One thread each; the picture is speckle without text, as dark as ultrasound is.
"""

import json
import logging
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROUNDS = 12


def causeway() -> Callable[[NDArray[np.uint8]], object]:
    """Our first look."""
    from services.deid.adapters.text_detection import FIRST, NetworkDetector

    return NetworkDetector(*FIRST).text_boxes


def rapidocr() -> Callable[[NDArray[np.uint8]], object]:
    """RapidOCR's detector with its defaults, which wants a picture in colour."""
    import rapidocr

    logging.disable(logging.CRITICAL)
    threads: dict[str, Any] = dict.fromkeys(
        ("EngineConfig.onnxruntime.intra_op_num_threads", "EngineConfig.onnxruntime.inter_op_num_threads"), 1
    )
    detector = rapidocr.RapidOCR(params=threads)
    return lambda image: detector(np.repeat(image[..., None], 3, 2), use_det=True, use_cls=False, use_rec=False)


TOOLS = {"causeway": causeway, "rapidocr": rapidocr}


def main() -> None:
    """The first look warms up and is not counted."""
    look = TOOLS[sys.argv[1]]()
    image = np.random.default_rng(3).integers(0, 60, (768, 1024), dtype=np.uint8)
    look(image)
    spent = time.process_time()
    for _ in range(ROUNDS):
        look(image)
    print("\n" + json.dumps({"cpu": (time.process_time() - spent) / ROUNDS}))


if __name__ == "__main__":
    main()
