"""The distributions of specification section 9, in minutes, as numpy arrays."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_Z90 = 1.2815515655446004  # the 90th percentile of the standard normal distribution


def truncated_normal(rng: np.random.Generator, mean: float, std: float, low: float, high: float, size: int) -> Floats:
    """Draw `size` values of a normal distribution within [low, high]; what falls outside is drawn again."""
    values = rng.normal(mean, std, size)
    outside = np.flatnonzero((values < low) | (values > high))
    while outside.size:
        values[outside] = rng.normal(mean, std, outside.size)
        outside = outside[(values[outside] < low) | (values[outside] > high)]
    return values


def lognormal(rng: np.random.Generator, p50: float, p90: float, size: int) -> Floats:
    """Draw `size` values of the lognormal distribution with this median and 90th percentile."""
    return rng.lognormal(math.log(p50), math.log(p90 / p50) / _Z90, size)
