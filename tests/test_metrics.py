"""Every metric through the laws of metrics."""

from __future__ import annotations

import pytest

from fallline import Euclid, SecondMoment, Sign
from laws.metric import LAWS
from sampler import fields

METRICS = (Euclid(), Sign(), SecondMoment(0.9, 1e-12))


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("part", METRICS, ids=str)
def test_law(part, law):
    for g in fields():
        law(part, g)
