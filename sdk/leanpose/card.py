"""Model cards: what a model file says of itself, as JSON under the key `leanpose` of its ONNX metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from .codecs import CODECS, Codec
from .fields import Fields
from .keypoints import KeypointSet, anonymous_keypoints

METADATA_KEY = "leanpose"
VERSION = 1

ColorOrder = Literal["rgb", "bgr"]
Transform = Literal["plain", "udp"]
Layout = Literal["nchw", "nhwc"]


@dataclass(frozen=True)
class InputSpec:
    """What the network's input tensor holds, whose dtype is that of the graph.

    Attributes:
        size: height and width in pixels.
        color: order of the three channels.
        mean: per channel of the tensor, in grey levels 0..255; the tensor is (pixel - mean) / std.
        std: per channel of the tensor, in grey levels. Integer inputs take grey levels: mean 0, std 1.
        padding: side of the region cut out over the side of the box, before it grows to the input's aspect ratio; 1 for
            models that find persons, whose box is the whole picture.
        transform: how the region maps onto the input, see `leanpose.crop_transforms`.
        layout: "nchw" for (batch, 3, height, width), "nhwc" for (batch, height, width, 3).
        border: grey level 0..255 of what lies outside the picture.
    """

    size: tuple[int, int]
    color: ColorOrder
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    padding: float
    transform: Transform
    layout: Layout = "nchw"
    border: float = 0.0

    @property
    def tensor_shape(self) -> tuple[int, int, int]:
        """Of one input in the batch."""
        return (3, *self.size) if self.layout == "nchw" else (*self.size, 3)

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {
            "size": list(self.size),
            "color": self.color,
            "mean": list(self.mean),
            "std": list(self.std),
            "padding": self.padding,
            "transform": self.transform,
            "layout": self.layout,
            "border": self.border,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> InputSpec:
        """Checks and takes the fields; ValueError names the one that is wrong."""
        fields = Fields(data, "input", {"layout": "nchw", "border": 0.0})
        mean = fields.numbers("mean", 3)
        std = fields.numbers("std", 3, above=0)
        spec = cls(
            fields.size("size"),
            cast(ColorOrder, fields.choice("color", ("rgb", "bgr"))),
            (mean[0], mean[1], mean[2]),
            (std[0], std[1], std[2]),
            fields.number("padding", above=0),
            cast(Transform, fields.choice("transform", ("plain", "udp"))),
            input_layout(fields),
            fields.number("border", least=0, most=255),
        )
        fields.done()
        return spec


def input_layout(fields: Fields) -> Layout:
    """The field `layout`."""
    return cast(Layout, fields.choice("layout", ("nchw", "nhwc")))


@dataclass(frozen=True)
class Accuracy:
    """One measured figure, for example AP 0.66 on "coco_dev, 250 pictures, ground-truth boxes"."""

    metric: str
    value: float
    dataset: str

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {"metric": self.metric, "value": self.value, "dataset": self.dataset}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Accuracy:
        """Checks and takes the fields; ValueError names the one that is wrong."""
        fields = Fields(data, "accuracy")
        accuracy = cls(fields.text("metric"), fields.number("value"), fields.text("dataset"))
        fields.done()
        return accuracy


@dataclass(frozen=True)
class ModelCard:
    """Everything that inference must know about a model beside its graph.

    Attributes:
        name: of the network.
        input: what its input tensor holds.
        codec: how its output tensors encode keypoints.
        keypoints: names, skeleton, flip pairs and OKS sigmas.
        training_data: what it was trained on, one entry per source.
        accuracy: measured figures.
        license: of the weights, as an SPDX identifier or in words.
    """

    name: str
    input: InputSpec
    codec: Codec
    keypoints: KeypointSet
    training_data: tuple[str, ...] = field(default=())
    accuracy: tuple[Accuracy, ...] = field(default=())
    license: str = "unknown"

    def check_flip_test(self) -> None:
        """ValueError where the outputs for a picture and for its mirror image cannot be averaged."""
        if not self.codec.flips:
            raise ValueError(f"flip_test: there is none for models of codec {self.codec.type}; use flip_test=False")
        count = len(self.keypoints)
        sided = any(self.keypoints.side(index) != "center" for index in range(count))
        if not self.keypoints.flip_pairs and (sided or self.keypoints == anonymous_keypoints(count)):
            raise ValueError(
                f"flip_test: which of the {count} keypoints trade places in a mirror image is unknown; "
                'set the field keypoints.flip_pairs, as in Estimator(model, card={"keypoints.flip_pairs": [[1, 2]]})'
            )

    def to_dict(self) -> dict[str, Any]:
        """The card as JSON values; `from_dict` undoes it."""
        return {
            "version": VERSION,
            "name": self.name,
            "input": self.input.to_dict(),
            "codec": {"type": self.codec.type, **self.codec.to_dict()},
            "keypoints": self.keypoints.to_dict(),
            "training_data": list(self.training_data),
            "accuracy": [entry.to_dict() for entry in self.accuracy],
            "license": self.license,
        }

    def to_json(self) -> str:
        """The card as it stands in the metadata."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ModelCard:
        """Checks every field; ValueError names the one that is wrong, what it is and what was expected."""
        fields = Fields(data, "")
        version = fields.number("version", integer=True)
        if version != VERSION:
            raise ValueError(
                f"model card: version is {version:g}, this leanpose reads version {VERSION}; "
                f"{'upgrade leanpose' if version > VERSION else 'write the card anew'}"
            )
        codec = dict(fields.mapping("codec"))
        kind = Fields(codec, "codec").choice("type", tuple(CODECS))
        del codec["type"]
        try:
            keypoints = KeypointSet.from_dict(fields.mapping("keypoints"))
        except (TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"model card: field keypoints: {error}") from error
        card = cls(
            fields.text("name"),
            InputSpec.from_dict(fields.mapping("input")),
            CODECS[kind].from_dict(codec),
            keypoints,
            fields.texts("training_data"),
            tuple(Accuracy.from_dict(entry) for entry in fields.mappings("accuracy")),
            fields.text("license"),
        )
        fields.done()
        return card

    @classmethod
    def from_json(cls, text: str) -> ModelCard:
        """The card that `to_json` wrote; ValueError where it is not one."""
        return cls.from_dict(json_object(text))


def json_object(text: str) -> dict[str, Any]:
    """What the text of a card holds, not checked yet; ValueError where it is no JSON object."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"model card: not valid JSON: {error}") from None
    if not isinstance(data, dict):
        raise ValueError(f"model card: expected a JSON object, got {type(data).__name__}")
    return data
