"""AMFACPose's definition, its printed sizes, its activation and its losses."""
# ruff: noqa: E402 (torch may be absent)

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

torch = pytest.importorskip("torch", reason="the definitions need PyTorch: pip install 'leanpose[export]'")

from torch.nn import functional

from model_defs.activations import Mish
from model_defs.amfacpose import (
    ABLATION,
    CONFIGS,
    AdaptiveFeaturePyramid,
    AMFACPose,
    CoordConv2d,
    DualGateContext,
    SpatialChannelRefinement,
    SqueezeExcitation,
)
from model_defs.counting import count
from model_defs.layers import Depthwise
from model_defs.losses import COCO17_JOINT_WEIGHTS, KLDiscretLoss, gaussian_bins, smoothed_bins
from model_defs.registry import build

# Tables 1, 2, 4 and 6: millions of parameters, billions of multiply-accumulates.
PRINTED = {
    "amfacpose-r34-384x288": (3.8, 5.2),
    "amfacpose-r34-256x256": (3.6, 3.1),
    "amfacpose-r18-384x288": (2.5, 3.2),
    "amfacpose-r18-256x256": (2.4, 1.9),
    "baseline": (3.3, 4.7),
    "+AFPN": (3.5, 5.0),
    "+DGCB": (3.6, 5.0),
    "+SCRM": (3.6, 5.2),
    "+SE": (3.8, 5.2),
    "+CoordConv2d (full)": (3.8, 5.2),
}
# The one miss, by one in the last digit: 2.598 where 2.5 is printed.
MISSED = {("amfacpose-r18-384x288", "parameters"): 2.6}


@pytest.mark.parametrize("figure", ["parameters", "macs"])
@pytest.mark.parametrize("name", PRINTED)
def test_sizes_are_the_printed_ones(name: str, figure: str) -> None:
    config = {**CONFIGS, **ABLATION}[name]
    with torch.device("meta"):
        cost = count(AMFACPose(config), config.input_size)
    parameters, gmacs = PRINTED[name]
    got, printed = (cost.parameters / 1e6, parameters) if figure == "parameters" else (cost.macs / 1e9, gmacs)
    assert round(got, 1) == MISSED.get((name, figure), printed)


def test_every_published_system_is_in_the_registry() -> None:
    assert set(CONFIGS) == {name for name in PRINTED if name.startswith("amfacpose")}
    assert build("amfacpose-r18-256x256", num_keypoints=3).config.num_keypoints == 3
    with pytest.raises(ValueError, match=r"no definition 'amfacpose'; known: amfacpose-r34-384x288, "):
        build("amfacpose")


def test_nano_has_the_same_modules_at_half_the_width() -> None:
    whole, nano = build("amfacpose-r18-256x256", input_size=(256, 192)), build("amfacpose-nano-256x192")
    assert [type(module) for module in nano.modules()] == [type(module) for module in whole.modules()]
    cost = count(nano, (256, 192))
    assert (round(cost.parameters / 1e6, 3), round(cost.macs / 1e9, 3)) == (0.856, 0.392)


@pytest.mark.parametrize(
    ("switch", "kind"),
    [
        ("afpn", AdaptiveFeaturePyramid),
        ("dgcb", DualGateContext),
        ("scrm", SpatialChannelRefinement),
        ("se", SqueezeExcitation),
        ("coord", CoordConv2d),
    ],
)
def test_each_switch_removes_its_module(switch: str, kind: type) -> None:
    whole = replace(CONFIGS["amfacpose-r18-256x256"], input_size=(64, 48))
    lacking = AMFACPose(replace(whole, **{switch: False})).eval()
    kinds = {AdaptiveFeaturePyramid, DualGateContext, SpatialChannelRefinement, SqueezeExcitation, CoordConv2d}
    assert kinds <= {type(module) for module in AMFACPose(whole).modules()}
    gone = kinds - {type(module) for module in lacking.modules()}
    assert gone == ({kind, DualGateContext} if switch == "afpn" else {kind})
    with torch.no_grad():
        assert [tuple(axis.shape) for axis in lacking(torch.zeros(1, 3, 64, 48))] == [(1, 17, 96), (1, 17, 128)]


@pytest.mark.parametrize(
    ("size", "keypoints", "ratio"), [((64, 48), 17, 2), ((100, 76), 1, 2), ((33, 47), 21, 3), ((16, 17), 133, 1)]
)
def test_any_input_size_and_number_of_keypoints(size: tuple[int, int], keypoints: int, ratio: int) -> None:
    torch.manual_seed(0)
    model = build("amfacpose-r18-256x256", input_size=size, num_keypoints=keypoints, split_ratio=ratio).eval()
    with torch.no_grad():
        x, y = model(torch.randn(2, 3, *size))
    assert x.shape == (2, keypoints, size[1] * ratio)
    assert y.shape == (2, keypoints, size[0] * ratio)
    assert torch.isfinite(x).all()
    assert torch.isfinite(y).all()


def test_every_parameter_gets_a_gradient() -> None:
    torch.manual_seed(0)
    model = build("amfacpose-r18-256x256", input_size=(64, 48))
    sum(axis.square().mean() for axis in model(torch.randn(2, 3, 64, 48))).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()] == []


def test_resizing_first_changes_nothing() -> None:
    torch.manual_seed(0)
    config = replace(CONFIGS["amfacpose-r18-256x256"], input_size=(100, 76))
    literal, quick = AMFACPose(config).eval(), AMFACPose(config).eval()
    assert quick.afpn is not None
    quick.afpn.resize_first = True
    quick.load_state_dict(literal.state_dict())
    image = torch.randn(2, 3, 100, 76)
    with torch.no_grad():
        for want, got in zip(literal(image), quick(image), strict=True):
            assert (want - got).abs().max() < 1e-5 * want.std()


def test_coordinates_run_from_minus_one_to_one_before_scale_and_shift() -> None:
    layer = CoordConv2d(4, 5)
    with torch.no_grad():
        layer.scale.copy_(torch.tensor([2.0, 3.0]))
        layer.shift.copy_(torch.tensor([0.5, -1.0]))
        x, y = layer.coordinates(5, 3).numpy()
    np.testing.assert_allclose(x, np.broadcast_to([-1.5, 0.5, 2.5], (5, 3)), atol=1e-6)
    np.testing.assert_allclose(y, np.broadcast_to([[-4], [-2.5], [-1], [0.5], [2]], (5, 3)), atol=1e-6)


def test_mish_equals_the_textbook_form() -> None:
    x = torch.linspace(-80, 80, 16001, dtype=torch.float64)
    want = x * torch.tanh(torch.log1p(x.exp()))
    got = Mish()(x.float()).double()
    below = x <= 5.5
    torch.testing.assert_close(got[below], want[below], rtol=2e-6, atol=1e-30)
    torch.testing.assert_close(got[~below], want[~below], rtol=4e-5, atol=0)


def test_gradient_of_mish() -> None:
    x = torch.linspace(-20, 20, 4001, requires_grad=True)
    (got,) = torch.autograd.grad(Mish()(x).sum(), x)
    (want,) = torch.autograd.grad(torch.nn.functional.mish(x).sum(), x)
    torch.testing.assert_close(got, want, rtol=0, atol=5e-4)


def test_mish_does_not_overflow_in_half_precision() -> None:
    x = torch.cat((torch.linspace(-6e4, 6e4, 1001), torch.linspace(-12, 12, 1001))).half()
    got = Mish()(x).float()
    assert torch.isfinite(got).all()
    torch.testing.assert_close(got, torch.nn.functional.mish(x.float()), rtol=4e-3, atol=1e-6)


def test_gaussian_targets() -> None:
    positions = np.array([[10.0, 31.4], [-5.0, 63.0]])
    for sigma in (None, 3.0):
        got = gaussian_bins(torch.from_numpy(positions), 64, sigma).numpy()
        width = 2.0 if sigma is None else sigma  # sqrt(64 / 16)
        bell = np.exp(-((np.arange(64) - positions[..., None]) ** 2) / (2 * width**2))
        np.testing.assert_allclose(got, bell / bell.sum(-1, keepdims=True), rtol=1e-9)


def test_smoothed_targets() -> None:
    got = smoothed_bins(torch.tensor([[2.4, 2.6, -3.0, 99.0]]), 5, 0.1).numpy()
    want = np.full((1, 4, 5), 0.02)
    want[0, [0, 1, 2, 3], [2, 3, 0, 4]] += 0.9
    np.testing.assert_allclose(got, want, rtol=1e-6)
    np.testing.assert_allclose(got.sum(-1), 1, rtol=1e-6)


def numpy_loss(
    logits: list[npt.NDArray[np.float64]],
    targets: list[npt.NDArray[np.float64]],
    weights: npt.NDArray[np.float64],
    temperature: float,
) -> float:
    total = np.zeros_like(weights)
    for axis, target in zip(logits, targets, strict=True):
        scaled = axis / temperature
        log_q = scaled - np.log(np.exp(scaled).sum(-1, keepdims=True))
        log_p = np.log(target, out=np.zeros_like(target), where=target > 0)
        total += (target * (log_p - log_q)).sum(-1)
    return float((total * weights * np.array(COCO17_JOINT_WEIGHTS)).mean())


@pytest.mark.parametrize("kind", ["smoothed", "gaussian", "one-hot"])
@pytest.mark.parametrize("temperature", [0.8, 1.0])
def test_loss_against_numpy(kind: str, temperature: float) -> None:
    generator = np.random.default_rng(1)
    positions = torch.from_numpy(generator.uniform(0, 30, (2, 3, 17)))
    make = {"smoothed": smoothed_bins, "gaussian": gaussian_bins}.get(kind, lambda p, n: smoothed_bins(p, n, 0.0))
    targets = [make(positions[0], 32), make(positions[1], 40)]
    logits = [generator.standard_normal((3, 17, bins)) * 3 for bins in (32, 40)]
    weights = generator.integers(0, 2, (3, 17)).astype(np.float64)
    got = KLDiscretLoss(temperature)(
        tuple(torch.from_numpy(axis) for axis in logits), tuple(targets), torch.from_numpy(weights)
    )
    want = numpy_loss(logits, [target.numpy() for target in targets], weights, temperature)
    assert float(got) == pytest.approx(want, rel=1e-5)


def test_joints_of_weight_zero_do_not_count() -> None:
    logits = torch.randn(1, 17, 8, generator=torch.Generator().manual_seed(0), requires_grad=True)
    targets = gaussian_bins(torch.full((1, 17), 3.0), 8)
    weights = torch.zeros(1, 17)
    weights[0, 4] = 1
    KLDiscretLoss()((logits, logits), (targets, targets), weights).backward()
    moved = logits.grad.abs().sum(-1)[0] > 0
    assert moved.nonzero().flatten().tolist() == [4]
    nothing = KLDiscretLoss()((logits, logits), (targets, targets), torch.zeros(1, 17))
    assert nothing.item() == 0


def test_the_loss_is_least_at_the_target() -> None:
    target = gaussian_bins(torch.full((1, 17), 3.0), 8)
    right = target.log() * 0.8
    weights = torch.ones(1, 17)
    assert float(KLDiscretLoss()((right, right), (target, target), weights)) == pytest.approx(0, abs=1e-6)
    wrong = right.roll(1, -1)
    assert float(KLDiscretLoss()((right, wrong), (target, target), weights)) > 0.01


def test_strided_depthwise_convolutions_keep_float32_under_autocast() -> None:
    torch.manual_seed(0)
    strided, dense = Depthwise(4, 2), Depthwise(4)
    x = torch.randn(2, 4, 9, 8)
    reference = functional.conv2d(x, strided.weight, None, 2, 1, 1, 4)
    with torch.autocast("cpu", torch.bfloat16):
        assert dense(x).dtype == torch.bfloat16
        torch.testing.assert_close(strided(x), reference)
    torch.testing.assert_close(strided(x), reference)
