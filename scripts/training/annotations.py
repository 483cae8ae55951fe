"""Persons of a COCO-format annotation file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def labelled_persons(data: Mapping[str, Any]) -> dict[int, list[dict[str, Any]]]:
    """The annotations with keypoints and not of crowds, by image id, in the file's order."""
    persons: dict[int, list[dict[str, Any]]] = {}
    for annotation in data["annotations"]:
        if annotation["num_keypoints"] > 0 and not annotation.get("iscrowd", 0):
            persons.setdefault(annotation["image_id"], []).append(annotation)
    return persons


def boxed_persons(data: Mapping[str, Any]) -> dict[int, list[dict[str, Any]]]:
    """The annotations with a box, crowds included, of the category named person, by id of every image of the file."""
    wanted = {category["id"] for category in data["categories"] if category["name"] == "person"}
    persons: dict[int, list[dict[str, Any]]] = {image["id"]: [] for image in data["images"]}
    for annotation in data["annotations"]:
        if annotation["category_id"] in wanted and min(annotation["bbox"][2:]) > 0:
            persons[annotation["image_id"]].append(annotation)
    return persons
