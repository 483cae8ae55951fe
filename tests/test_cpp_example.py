"""The C++ example, built against the installed headers, finds what Python finds."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from leanpose import _core

ROOT = Path(__file__).resolve().parent.parent
CMAKE = shutil.which("cmake", path=os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")]))
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)

pytestmark = [
    pytest.mark.skipif(CMAKE is None, reason="needs CMake"),
    pytest.mark.skipif(not (shutil.which("c++") or shutil.which("g++")), reason="needs a C++ compiler"),
]


def run(*arguments):
    return subprocess.run([*map(str, arguments)], check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cpp")
    run(CMAKE, "-S", ROOT, "-B", folder / "core", f"-DCMAKE_INSTALL_PREFIX={folder / 'install'}")
    run(CMAKE, "--install", folder / "core")
    run(
        *(CMAKE, "-S", ROOT / "examples" / "cpp", "-B", folder / "example"),
        *(f"-DCMAKE_PREFIX_PATH={folder / 'install'}", "-DCMAKE_BUILD_TYPE=Release"),
    )
    run(CMAKE, "--build", folder / "example")
    return folder / "example" / "pose"


def write_ppm(path, image):
    height, width = image.shape[:2]
    path.write_bytes(b"P6\n%d %d\n255\n" % (width, height) + image[..., ::-1].tobytes())


def test_finds_what_python_finds(program, tmp_path):
    image = np.random.default_rng(0).integers(0, 120, (90, 120, 3), dtype=np.uint8)
    image[20:23, 31:33, 0], image[50:52, 60:63, 1], image[70:73, 22:24, 2] = 255, 250, 245
    image[40:42, 95:97] = 230, 235, 240
    boxes = np.array([[10.5, 5, 70, 80], [80, 20, 119, 89.25]])
    write_ppm(tmp_path / "picture.ppm", image)
    output = run(program, tmp_path / "picture.ppm", *boxes.ravel().tolist())
    found = np.array([line.split() for line in output.splitlines()], float).reshape(2, 3, 5)

    transforms = _core.crop_transforms(boxes, (256, 192), 1.25, "udp")
    crops = _core.crop(image, transforms, (256, 192), MEAN, STD, "rgb")
    simcc_x, simcc_y = (np.repeat(crops.max(axis), 2, axis=-1) for axis in (2, 3))
    xy, scores = _core.decode_simcc(simcc_x, simcc_y, transforms, 2.0, refine=True)
    np.testing.assert_array_equal(found[..., 0], [[0] * 3, [1] * 3])
    np.testing.assert_array_equal(found[..., 1], [[0, 1, 2]] * 2)
    np.testing.assert_allclose(found[..., 2:4], xy, rtol=1e-6)
    np.testing.assert_allclose(found[..., 4], scores, rtol=1e-6)
    np.testing.assert_allclose(xy[0], [[23, 71.5], [61.5, 50.5], [32, 21]], atol=1.5)


@pytest.mark.parametrize("arguments", [[], ["1", "2", "3"], ["5", "5", "5", "9"], ["1", "2", "nan", "4"], ["a"] * 4])
def test_bad_arguments(program, tmp_path, arguments):
    write_ppm(tmp_path / "picture.ppm", np.zeros((4, 4, 3), np.uint8))
    result = subprocess.run([program, tmp_path / "picture.ppm", *arguments], capture_output=True, text=True)
    assert result.returncode in (1, 2)
    assert result.stderr


@pytest.mark.parametrize(
    "content", [b"", b"P6 4 4 255\n123", b"P3 1 1 255\n0 0 0", b"P6 -4 4 255\n", b"P6 4 4 65535\n"]
)
def test_bad_pictures(program, tmp_path, content):
    (tmp_path / "picture.ppm").write_bytes(content)
    result = subprocess.run([program, tmp_path / "picture.ppm", *"0123"], capture_output=True, text=True)
    assert result.returncode == 1
    assert "picture.ppm" in result.stderr
