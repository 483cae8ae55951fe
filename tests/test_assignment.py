from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from leanpose import _core


def smallest_sum(cost):
    """Over all permutations of the longer axis."""
    rows, columns = cost.shape
    if rows > columns:
        return smallest_sum(cost.T)
    return min(
        sum(cost[row, column] for row, column in enumerate(order))
        for order in itertools.permutations(range(columns), rows)
    )


def assert_pairs(cost, rows, columns):
    assert rows.dtype == columns.dtype == np.int64
    assert rows.shape == columns.shape == (min(np.shape(cost)),)
    assert (np.diff(rows) > 0).all()
    assert len(set(columns.tolist())) == len(columns)


shapes = st.tuples(st.integers(0, 5), st.integers(0, 5))


@given(shapes.flatmap(lambda shape: hnp.arrays(np.float64, shape, elements=st.integers(-5, 5) | st.just(np.inf))))
def test_matches_brute_force(cost):
    expected = smallest_sum(cost)
    if np.isinf(expected):
        with pytest.raises(ValueError, match="forbids"):
            _core.linear_assignment(cost)
    else:
        rows, columns = _core.linear_assignment(cost)
        assert_pairs(cost, rows, columns)
        assert cost[rows, columns].sum() == expected


@given(
    shapes.flatmap(
        lambda shape: hnp.arrays(np.float64, shape, elements=st.floats(allow_nan=False, allow_infinity=False))
    )
)
def test_any_finite_costs(cost):
    rows, columns = _core.linear_assignment(cost)
    assert_pairs(cost, rows, columns)
    scaled = cost * 2.0**-10  # sums of the largest doubles overflow
    tolerance = 1e-13 * np.abs(scaled).max(initial=0)
    assert scaled[rows, columns].sum() <= smallest_sum(scaled) + tolerance


@pytest.mark.parametrize(("count", "more"), [(1, 0), (60, 0), (60, 1), (40, 120), (150, 10)])
@pytest.mark.parametrize("transposed", [False, True])
def test_known_optimum(count, more, transposed):
    # By duality nothing is cheaper: no pair costs less than both prices, and no column has a positive one.
    rng = np.random.default_rng(count + more)
    rows, order = np.arange(count), rng.permutation(count + more)[:count]
    column_prices, slack = np.zeros(count + more), rng.uniform(0.1, 3, (count, count + more))
    column_prices[order] = -rng.uniform(0, 5, count)
    slack[rows, order] = 0
    cost = rng.normal(0, 9, (count, 1)) + column_prices + slack
    if transposed:
        by_column = _core.linear_assignment(cost.T)
        np.testing.assert_array_equal(by_column, (np.sort(order), np.argsort(order)))
    else:
        np.testing.assert_array_equal(_core.linear_assignment(cost), (rows, order))


def test_forbidden_pairs_are_avoided():
    cost = np.full((3, 4), np.inf)
    cost[[0, 1, 2, 0], [2, 0, 3, 0]] = [9, 5, -2, 1]
    np.testing.assert_array_equal(_core.linear_assignment(cost), ([0, 1, 2], [2, 0, 3]))
    cost[1, 0] = np.inf
    with pytest.raises(ValueError, match=r"cost of shape \(3, 4\) forbids .* no assignment of 3"):
        _core.linear_assignment(cost)


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_empty(shape):
    for indices in _core.linear_assignment(np.empty(shape)):
        assert indices.shape == (0,)
        assert indices.dtype == np.int64


def test_any_layout_and_dtype():
    cost = np.random.default_rng(0).integers(0, 100, (6, 9))
    expected = _core.linear_assignment(cost.astype(np.float64))
    for same in (cost, cost.astype(np.uint8), cost.astype(np.float32), np.asfortranarray(cost), cost.tolist()):
        np.testing.assert_array_equal(_core.linear_assignment(same), expected)
    np.testing.assert_array_equal(_core.linear_assignment(np.repeat(cost, 3, axis=1)[:, ::3]), expected)


@pytest.mark.parametrize(
    ("cost", "error", "message"),
    [
        ([[0.0, np.nan]], ValueError, r"cost\[0, 1\] is nan; every cost must be a finite number, or \+inf"),
        ([[0.0], [-np.inf]], ValueError, r"cost\[1, 0\] is -inf"),
        ([1.0, 2.0], ValueError, r"cost must have shape \(R, C\), got \(2,\)"),
        (np.zeros((2, 2, 2)), ValueError, r"got \(2, 2, 2\)"),
        ([["a"]], TypeError, "cost must be an array of integers or floats"),
        (np.ones((2, 2), complex), TypeError, "got complex128 array"),
        (None, TypeError, "got NoneType"),
    ],
)
def test_bad_costs(cost, error, message):
    with pytest.raises(error, match=message):
        _core.linear_assignment(cost)


def test_threads_share_costs():
    cost = np.random.default_rng(0).normal(size=(80, 120))
    expected = _core.linear_assignment(cost)
    with ThreadPoolExecutor(8) as pool:
        for pairs in pool.map(lambda _: _core.linear_assignment(cost), range(32)):
            np.testing.assert_array_equal(pairs, expected)
