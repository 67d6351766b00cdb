"""Text detection with the networks that RapidOCR ships (PP-OCR, differentiable binarisation), on one thread."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from services.deid.domain.pictures.boxes import Boxes
from services.deid.domain.pictures.detection import Thresholds, text_boxes, text_boxes_near
from services.deid.domain.pictures.rendering import Grey

#: Package, file and thresholds for the first look and for the second one: two generations, trained apart.
FIRST = ("rapidocr", "models/PP-OCRv6_det_small.onnx", Thresholds())
SECOND = ("rapidocr_onnxruntime", "models/ch_PP-OCRv4_det_infer.onnx", Thresholds(mean=0.6))
#: Sides of what the networks read are multiples of this.
_STEP = 32


class NetworkDetector:
    """One network. Its file is read from the package that ships it; no code of that package runs."""

    def __init__(self, package: str, model: str, thresholds: Thresholds) -> None:
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            raise FileNotFoundError(package)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        path = Path(spec.origin).parent / model
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self._thresholds = thresholds

    def text_boxes(self, image: Grey, near: Boxes | None = None) -> Boxes:
        """Boxes around the text of a grey picture (rows, columns), or of some places in it."""
        if near is None:
            return text_boxes(image, self._likelihood, self._thresholds)
        return text_boxes_near(near, image, self._likelihood, self._thresholds)

    def _likelihood(self, image: Grey) -> NDArray[np.float32]:
        rows, columns = image.shape
        padded = np.pad(image, ((0, -rows % _STEP), (0, -columns % _STEP)), mode="edge")
        plane = padded.astype(np.float32) / np.float32(127.5) - np.float32(1)
        (found,) = self._session.run(None, {self._input: np.repeat(plane[None, None], 3, axis=1)})
        likely: NDArray[Any] = np.asarray(found)[0, 0, :rows, :columns]
        return likely
