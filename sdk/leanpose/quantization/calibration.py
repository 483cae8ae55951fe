"""The persons on whose pictures the ranges of int8 are calibrated, as ONNX Runtime's tool asks for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .. import _core
from ..boxes import validate_boxes
from ..images import ImageLike, at_picture, load_image
from ..model import Model

Pictures: TypeAlias = Sequence[tuple[int, ImageLike, npt.ArrayLike | None]]  # the caller's number, picture, boxes

_MOST = 32  # regions per session run: bounds memory


class Reader:
    """Batches of the regions of one picture after another, each cut out when it is asked for.

    Attributes:
        error: what went wrong with a picture, or that there was nobody; the tool wraps it in errors of its own.
    """

    def __init__(self, model: Model, pictures: Pictures, step: Callable[[], object]) -> None:
        self._model, self._pictures, self._step = model, pictures, step
        self._batches = self._read()
        self.error: Exception | None = None

    def get_next(self) -> dict[str, npt.NDArray[Any]] | None:
        """What the session takes for the next batch; None at the end."""
        try:
            return next(self._batches, None)
        except Exception as error:
            self.error = error
            raise

    def _read(self) -> Iterator[dict[str, npt.NDArray[Any]]]:
        spec, fixed = self._model.card.input, self._model.batch_size
        most = fixed or _MOST
        found = 0
        for number, image, boxes in self._pictures:
            try:
                picture = load_image(image)
                regions, _ = validate_boxes(boxes, picture.shape[1], picture.shape[0])
            except Exception as error:
                raise at_picture(error, number) from error
            found += len(regions)
            for start in range(0, len(regions), most):
                some = regions[start : start + most]
                transforms = _core.crop_transforms(some, spec.size, spec.padding, spec.transform)
                crops = _core.crop(
                    *(picture, transforms, spec.size, spec.mean, spec.std, spec.color, [spec.border] * 3),
                    dtype=self._model.crop_dtype,
                    layout=spec.layout,
                )
                # A batch that is too short is filled with its own crops: others would widen the ranges.
                yield self._model.feed(crops if fixed is None else np.resize(crops, (fixed, *crops.shape[1:])))
            self._step()
        if not found:
            raise ValueError("pictures: expected somebody in them to calibrate on, got no boxes")
