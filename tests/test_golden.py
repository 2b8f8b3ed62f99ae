"""One frozen number per named optimizer: a silent change of the numerics is the worst bug of an optimizer.

The number is the sum of the parameters after 25 steps on a fixed float64 gradient stream; it was set by the commit that
added the line, and a change belongs in the CHANGELOG under "numerics".
"""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fallline.zoo.registry import REGISTRY
from sampler import noisy_descent

GOLDEN = {
    "sgd": 1239.6161809936577,
    "nesterov": 1246.157007130558,
    "adam": 1208.4148662650841,
    "adamw": 1205.3997261990473,
    "lion": 1208.1969999999992,
    "sgd-auto": 1127.3715717684488,
    "adamw-auto": 1203.8513893871511,
    "lion-auto": 1208.1489999999992,
    "gap-sgd": 1209.531824130095,
    "gap-adam": 1204.4733342067946,
    "muon": 1177.685132891822,
    "muon-auto": 1177.8514834676503,
    "scion": 1147.4619946997839,
    "uscion": 1206.3853210920588,
    "soda": 1207.930516503186,
    "hyperball": 1184.1843250941042,
    "macro": 1183.8188442425267,
    "sso": 1179.6948303713343,
    "spel": 40.90980763816971,
    "lmo_igt": 1207.7669617899483,
    "pion": 1196.1571042835633,
    "intrinsic_muon": 1207.1198833165436,
}


@pytest.mark.parametrize("name", REGISTRY)
def test_golden(name):
    params = [nn.Parameter(torch.ones(shape, dtype=torch.float64)) for shape in ((30, 40), (7,))]
    opt = REGISTRY[name].build(params)
    for grads in noisy_descent(4, 25, ((30, 40), (7,))):
        for p, g in zip(params, grads, strict=True):
            p.grad = g
        opt.step()
    value = sum(float(p.detach().sum()) for p in params)
    assert value == pytest.approx(GOLDEN.get(name), rel=1e-11), f"{name}: {value!r}"
