"""What can be seen of an array of numbers: shape, type, range, a small picture and a histogram. Needs numpy."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from coshelf.viewer.values.pictures import png

__all__ = ["Array", "Bar", "array_of", "is_array", "thumbnail"]

_SAMPLE = 100_000  # elements that figures are computed of
_BARS = 32
_WIDE, _HIGH = 320, 60  # of a histogram, in units of SVG
_EDGE = 256  # pixels


@dataclass(frozen=True)
class Bar:
    """A bar of a histogram.

    Attributes:
        x, y, width, height: in a picture of 320 to 60.
        title: what it stands for.
    """

    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True)
class Array:
    """A description of an array.

    Attributes:
        shape: in words.
        dtype: of its elements.
        size: bytes.
        figures: names and values: smallest, largest and mean element.
        bars: the histogram.
        is_sampled: whether figures and histogram are of a sample.
        has_picture: whether :func:`thumbnail` can draw it.
        beginning: the first elements, as numpy writes them.
    """

    shape: str
    dtype: str
    size: int
    figures: list[tuple[str, str]]
    bars: list[Bar]
    is_sampled: bool
    has_picture: bool
    beginning: str


def is_array(value: Any) -> bool:
    """Whether a value is an array of numpy. numpy is not imported for that."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.ndarray)


def array_of(value: Any) -> Array:
    """The description of an array of numpy."""
    import numpy as np

    sample = _sample(value)
    figures, bars = _measured(sample) if sample is not None and sample.size else ([], [])
    with np.printoptions(threshold=60, edgeitems=3, linewidth=100):
        beginning = "objects" if value.dtype.hasobject else str(value)
    return Array(
        " by ".join(f"{each:,}" for each in value.shape) or "one element",
        str(value.dtype),
        value.nbytes,
        figures,
        bars,
        sample is not None and sample.size < value.size,
        _planes(value) is not None,
        beginning[:4_000],
    )


def thumbnail(value: Any) -> bytes | None:
    """A PNG of a matrix, or of an image in an array; None if it is neither."""
    import numpy as np

    planes = _planes(value)
    if planes is None:
        return None
    height, width = planes.shape[:2]
    small = planes[:: -(-height // _EDGE), :: -(-width // _EDGE)]
    if small.dtype != np.uint8:
        small = _as_greys(small.astype(np.float64))
    channels = 1 if small.ndim == 2 else small.shape[2]
    rows = [np.ascontiguousarray(row).tobytes() for row in small]
    return png(rows, small.shape[1], channels)


def _planes(value: Any) -> Any:
    """The array as rows and columns of numbers, or of pixels; None if it is something else."""
    is_matrix = value.ndim == 2
    is_image = value.ndim == 3 and value.shape[2] in (1, 3, 4) and value.dtype.name == "uint8"
    if not (is_matrix or is_image) or value.dtype.kind not in "buif" or min(value.shape[:2]) < 2:
        return None
    return value[:, :, 0] if is_image and value.shape[2] == 1 else value


def _as_greys(values: Any) -> Any:
    import numpy as np

    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    span = high - low if np.isfinite(high - low) and high > low else 1.0
    scaled = np.clip((np.nan_to_num(values, nan=low, posinf=high, neginf=low) - low) / span, 0, 1)
    return (scaled * 255).astype(np.uint8)


def _sample(value: Any) -> Any:
    """Elements of an array of numbers, evenly from all; None if it is of something else."""
    import numpy as np

    if value.dtype.kind not in "buif":
        return None
    flat = value.reshape(-1) if value.flags.c_contiguous else value.flat[: _SAMPLE * 10]
    return np.asarray(flat[:: max(1, -(-flat.size // _SAMPLE))])


def _measured(sample: Any) -> tuple[list[tuple[str, str]], list[Bar]]:
    import numpy as np

    numbers = sample.astype(np.float64)
    finite = numbers[np.isfinite(numbers)]
    if not finite.size:
        return [], []
    low, high = float(finite.min()), float(finite.max())
    figures = [("smallest", f"{low:g}"), ("largest", f"{high:g}"), ("mean", f"{float(finite.mean()):g}")]
    if finite.size < numbers.size:
        figures.append(("not finite", f"{numbers.size - finite.size:,}"))
    if not np.isfinite(high - low):
        return figures, []
    counts, edges = np.histogram(finite, bins=_BARS, range=(low, high))
    most, width = int(counts.max()) or 1, _WIDE / _BARS
    bars = []
    for at, count in enumerate(counts.tolist()):
        height = round(_HIGH * count / most, 2)
        title = f"{edges[at]:g} to {edges[at + 1]:g}: {count:,}"
        bars.append(Bar(round(at * width, 2), _HIGH - height, round(width - 1, 2), height, title))
    return figures, bars
