"""The demonstrations of the race turn out as they should, in short and in full."""

import pytest
import torch

from fallline.race import phase, plateau
from fallline.race.certificate import CERTIFICATES
from fallline.race.grokking import ModularSum
from fallline.race.powerlaw import Fit, Law
from fallline.race.registry import WORKLOADS


def test_egd_knows_the_rest_before_sgd_knows_what_it_saw():
    fast = plateau.journey("EGD")
    assert fast.plateau <= 100
    assert plateau.journey("SGD", steps=fast.grokked).fitted is None


def test_a_chaotic_spectrum_does_as_well_on_modular_sums():
    assert plateau.journey("EGD, chaotic spectrum").plateau <= 100


def test_the_polar_factor_halves_the_exponent_of_large_batches():
    found = phase.table(draws=20, steps=25)
    assert not found.faults, found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["grokking", "power-law"])
def test_what_is_known_of_a_workload_is_so(name):
    sheets, faults = CERTIFICATES[name]()
    assert not faults, sheets


def test_certificates_belong_to_workloads():
    assert CERTIFICATES.keys() <= WORKLOADS.keys()


def test_modular_sums_are_split_once():
    task = ModularSum(0)
    (seen, _), (unseen, sums) = task.seen, task.unseen
    assert len(seen) + len(unseen) == 31**2 and len(torch.cat([seen, unseen]).unique(dim=0)) == 31**2
    assert torch.equal(unseen.view(-1, 2, 31).argmax(-1).sum(-1) % 31, sums)
    assert 0.9 < task.validate() <= 1.0


def test_the_power_laws_loss_is_its_risk_and_noise():
    law = Law(1.0, 0.5, noise=0.0, batch=4096, size=8)
    task = Fit(law, 0)
    assert task.validate() == pytest.approx(1.0)
    assert task.loss().item() == pytest.approx(8 / 2, rel=0.1)
    with torch.no_grad():
        task.w.copy_(task.target)
    assert task.validate() < 1e-12 and task.loss().item() < 1e-12
