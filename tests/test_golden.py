"""One frozen number per named optimizer: a silent change of the numerics is the worst bug of an optimizer.

The number is the sum of the parameters after 25 steps on a fixed float64 gradient stream; it was set by the commit that
added the line, and a change belongs in the CHANGELOG under "numerics".
"""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fallline.zoo.registry import ENTRIES, REGISTRY
from kit import walk
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
    "muon": 1177.855336336998,
    "muon-auto": 1177.5909926644724,
    "shampoo": 1205.025759250796,
    "soap": 904.9519571480361,
    "asgo": 1177.5651539196292,
    "dasgo": 1177.4676700009172,
    "deva": 906.9717666182835,
    "deva-euclid": 1240.333921564786,
    "kl-shampoo": 1206.271983334812,
    "normuon": 1207.3437486798873,
    "adamuon": 1177.5753306372228,
    "adago": 1206.269600491422,
    "namo": 1186.2217643598744,
    "namo-d": 1186.3451702512182,
    "muoneq": 1177.6893086544276,
    "reg": 1177.5498086263362,
    "root": 1177.7111997244954,
    "auon": 1208.6200374221767,
    "auon-hybrid": 1207.3292076728956,
    "egd": 1207.2250242911919,
    "polar-adamw": 1204.2543773897353,
    "olion": 1177.9981246528503,
    "turbo-muon": 1177.894068511797,
    "polargrad": 1239.904508853429,
    "scion": 1147.4619946997839,
    "uscion": 1206.3853210920588,
    "soda": 1207.930516503186,
    "hyperball": 1184.1843250941042,
    "macro": 1183.8188442425267,
    "sso": 1179.6948303713343,
    "spel": 40.90980763816971,
    "lmo-igt": 1207.7669617899483,
    "schedule-free-adamw": 1207.5004837189235,
    "schedule-free-sgd": 1211.9469744775397,
    "averages": 1205.3997261990473,
    "lookahead": 1205.9452635715318,
    "mechanic": 1178.2691359092507,
    "pion": 1196.1571042835633,
    "intrinsic-muon": 1207.1198833165436,
    "trust-region": 1206.7535857712423,
    "dion": 1204.3199930005242,
    "dion2": 1204.0029933647686,
    "nordion2": 1203.9370640726174,
    "htmuon": 1207.9397688896952,
    "freon": 1208.8254947075206,
    "kaon": 1207.0180633244852,
    "softmuon": 1207.9311285669605,
    "mucon": 1207.9273989252977,
    "sps": 1403.0488847233323,
    "alig": 1305.0244413657003,
    "alr-smag": 1247.0105262711102,
    "alr-hb": 1468.6085148156872,
    "momsps": 1288.5404524841442,
    "momo": 1247.4389308247937,
    "momo-adam": 1208.4148662650841,
    "sania": 3702.31171855145,
    "aegd": 1223.5912337901639,
    "aegdm": 1219.5568788585122,
    "aegdw": 1312.8268850366876,
    "aepg": 1208.8857849588883,
    "induced": 1207.1622599508598,
    "induced-log": 1207.0307872705312,
    "induced-rms": 1207.0126687266056,
    "sgd-hd": 1218.3180822954148,
    "adam-hd": 1208.4199878129486,
    "normalized-sgd": 1207.311516237569,
    "adagrad-norm": 1209.428049883055,
    "dog": 1207.0014773405335,
    "l-dog": 1207.0015017877952,
    "dowg": 1207.760842817115,
    "prodigy": 1531.82265157461,
    "dadapt-sgd": 1207.0138456583238,
    "dadapt-adam": 144076.70740364693,
    "auto": 1210.847326740853,
    "u-dog": 1206.9055162546406,
    "unixgrad": 1206.1312496951653,
    "adgd": 1207.0000207026815,
    "oasis": 7512.054869262842,
    "smb": 1216.8024442362664,
    "o2nc": 1212.3608524570575,
    "o2nc-double": 1207.3339134263565,
    "hill-adam": 1208.414866265084,
    "amsgrad": 1208.4147149530077,
    "adamax": 1207.5465388217062,
    "nadam": 1209.0437075604164,
    "radam": 1207.70728430193,
    "adabelief": 1208.6184267247966,
    "qhm": 1236.9290741197833,
    "qhadam": 1208.7003735336884,
    "aggmo": 1214.3228183956564,
    "ademamix": 1207.4394985639824,
    "cautious-adamw": 1206.4795675796415,
    "cautious-lion": 1209.145163952442,
    "grams-adamw": 1205.4788827656228,
    "mgup-adamw": 1206.4429952037067,
    "random-sgd": 1211.6328331290968,
    "opt-amsgrad": 1207.317276011311,
    "nigt": 1206.8783557568677,
    "adamw-sn": 1207.1065829306647,
    "snsm": 1207.4970834403923,
}
# The eigenbasis of a wide gradient's Gram matrix is any basis where there was no gradient: LAPACK's choice, not ours.
SQUARE = {"soap", "deva"}


@pytest.mark.parametrize("name", REGISTRY)
def test_golden(name):
    shapes = ((30, 30 if name in SQUARE else 40), (7,))
    params = [nn.Parameter(torch.ones(shape, dtype=torch.float64)) for shape in shapes]
    opt = REGISTRY[name].build(params)
    walk(opt, noisy_descent(4, 25, shapes))
    value = sum(float(p.detach().sum()) for p in params)
    assert value == pytest.approx(GOLDEN.get(name), rel=1e-11), f"{name}: {value!r}"


def test_every_name_is_registered_once_and_has_its_number():
    assert sorted(entry.name for entry in ENTRIES) == sorted(GOLDEN)
