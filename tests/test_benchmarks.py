"""The benchmarks run and tell the truth about what they time. No time is asserted here, ever."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("typer")

from benchmarks import inner, sampling
from benchmarks.contender import BASELINE, MEMORY, ROWS, groups
from benchmarks.pace import enter, state_bytes, weights
from benchmarks.page import fill
from benchmarks.shape import LISTS

ROOT = Path(__file__).parent.parent
SIZES = {"gpt2": (148, 124_439_808), "resnet50": (161, 25_557_032), "lora": (400, 3_276_800), "many": (1600, 3_276_800)}


@pytest.mark.parametrize("name", SIZES)
def test_lists_are_those_of_the_models(name):
    shapes = LISTS[name]
    assert (len(shapes.shapes), shapes.numel) == SIZES[name]


def test_everyone_is_timed_once_beside_a_baseline_and_fits_in_memory():
    numel = LISTS["gpt2"].numel
    found = list(groups(ROWS.values(), numel))
    timed = [row.name for _, rows in found for row in rows]
    assert sorted(timed) == sorted(ROWS.keys() - set(BASELINE.values()))
    assert all(base.name == BASELINE[row.family] for base, rows in found for row in rows)
    assert all(4 * numel * (2 + sum(row.buffers for row in rows)) <= MEMORY for _, rows in found)
    together = [{row.name for row in rows} for _, rows in found]
    assert all(any({row.name, row.against} <= names for names in together) for row in ROWS.values() if row.against)


@pytest.mark.parametrize("name", [row.name for row in ROWS.values() if not row.compiled and row.installed])
def test_a_row_steps_and_its_state_is_counted(name):
    params, grads = weights(LISTS["resnet50"].tiny())
    before = [p.clone() for p in params]
    lane = enter(ROWS[name], params, grads)
    assert not isinstance(lane, dict), lane
    assert all(not torch.equal(p, q) for p, q in zip(params, before, strict=True))
    assert all(p.isfinite().all() for p in params)
    numel = sum(p.numel() for p in params)
    assert state_bytes(lane.opt, lane.params) >= 4 * numel


def test_the_whole_benchmark_runs_and_draws_its_page(tmp_path):
    rows = "adamw-auto,sgd-fixed-ignore"
    options = ("--quick", "--lists", "resnet50", "--threads", "1", "--rounds", "2", "--repeats", "1")
    command = (sys.executable, "-m", "benchmarks.speed", *options, "--rows", rows, "--out", str(tmp_path))
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "speed.json").read_text())
    timed = {one["row"]: one for one in told["steps"]}
    assert {"adamw-torch-fused", "adamw-auto", "sgd-torch-fused", "sgd-fixed-ignore"} <= timed.keys()
    assert not [one for one in told["steps"] if "error" in one]
    assert timed["adamw-torch-fused"]["ratio"]["median"] == 1
    assert told["starts"] and told["imports"] and told["inner"] and told["sampling"]
    page = (tmp_path / "speed.md").read_text()
    assert "ours: auto" in page and str(tmp_path) not in page
    assert (tmp_path / "speed.svg").stat().st_size > 1000


def test_a_part_of_a_page_is_replaced_and_the_rest_stays():
    page = "one\n<!-- a: begin -->\nold\n<!-- a: end -->\ntwo\n"
    assert fill(page, "a", "new\n") == page.replace("old", "new")


def test_long_sums_are_compared_with_float64():
    a, b = torch.randn(5000), torch.randn(5000)
    assert math.isclose(inner.exact(a, b), float(a.double() @ b.double()), rel_tol=1e-12)
    assert all(error < 1e-2 for row in inner.table(tiny=True) for error in row["errors"].values())


def test_a_sample_of_everything_is_without_error(monkeypatch):
    monkeypatch.setattr(sampling, "sample", lambda x: x)
    ((row,),) = sampling.tables(tiny=True)
    assert row["alignment"]["high"] == row["difference"]["high"] == 0
    assert row["agreed"] == row["agreed_averaged"] == 1


def test_the_exact_pays_are_those_that_the_full_bank_compares():
    course = sampling.Course("digits-mlp", "adamw", 1e-2, (5,))
    task = sampling.WORKLOADS[course.workload].task(0, None)
    params = list(task.parameters())
    opt, watch = sampling.trainer(course, params), sampling.Watch(params, metric=True)
    for _ in range(5):
        opt.zero_grad()
        task.loss().backward()
        watch.look({5: sampling.Stage()})
        opt.step()
    told = torch.tensor(opt.report()["groups"][0]["pay"], dtype=torch.float64)
    torch.testing.assert_close(watch.pays[0] / watch.pays[0].max(), told / told.max(), rtol=1e-3, atol=1e-5)


def test_the_comparison_of_polar_factors_runs_and_draws_its_page(tmp_path):
    command = (sys.executable, "-m", "benchmarks.polar", "--quick", "--rounds", "1", "--out", str(tmp_path))
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "polar.json").read_text())
    assert {one["way"] for one in told["accuracy"]} < {one["way"] for one in told["time"]}
    assert {one["way"] for one in told["step"]} == {"ours", "ours, Muon's own five steps", "torch", "torch, bfloat16"}
    page = (tmp_path / "polar.md").read_text()
    assert "Halley, 2 steps" in page and str(tmp_path) not in page
    assert page.count("begin -->\n<!--") == 0, "a part of the page is empty"
