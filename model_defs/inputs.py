"""What the inputs of pose networks hold; without PyTorch, for programs that only prepare pictures."""

from __future__ import annotations

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # ImageNet's, red, green, blue
PADDING = 1.25  # side of the region around a person over the side of the box
