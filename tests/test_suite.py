"""The suite: its problems, its protocol on hand-made numbers, and small runs that resume."""

import json
import math
from dataclasses import replace

import pytest
import torch
from benchmarks.suite import PICTURES, publish
from typer.testing import CliRunner

import fallline
from fallline import AdamW, UDoG
from fallline.cli.__main__ import app
from fallline.race.fashion import FILES
from fallline.race.suite import score, standing, text
from fallline.race.suite.chart import shift
from fallline.race.suite.entrant import ENTRANTS, MAKERS, YARDSTICK, Entrant, Ours, Point, entered
from fallline.race.suite.origin import origin, ours, parts
from fallline.race.suite.page import page, stand
from fallline.race.suite.problem import CHOSEN, HELD_OUT, PROBLEMS, wanted
from fallline.race.suite.result import result
from fallline.race.suite.shift import turned
from fallline.race.suite.suite import LADDER, Suite, best, beyond
from fallline.race.suite.trial import Trial, check_gradients, run
from test_race import write_idx

FREE = [problem.name for problem in wanted((), None)]


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Six steps a run, and one of pre-training."""
    monkeypatch.setattr(Suite, "steps", lambda self, problem: 6)
    monkeypatch.setattr(text, "LESSON", 1)
    text.schooled.cache_clear()
    yield
    text.schooled.cache_clear()


def silent(record, fresh):
    """A tick that shows nothing."""


def trial(maker="torch.AdamW", problem="bowl", **changes):
    known = {"lr": None, "beta": None, "schedule": "constant", "numbers": (), "seed": 0, "steps": 6, "origin": ""}
    return Trial(problem, "", maker, **known | changes)


# --- problems -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FREE)
def test_a_problem_is_fixed_by_its_seed_and_left_alone_by_measuring(name):
    torch.manual_seed(0)
    expected, _ = torch.rand(2), torch.manual_seed(0)
    one, two, other = (PROBLEMS[name].make(seed, None) for seed in (0, 0, 1))
    assert torch.equal(torch.rand(2), expected), "the caller's random numbers"
    for step in range(2):
        assert 0 < one.validate() < math.inf
        losses = [task.loss() for task in (one, two, other)]
        assert losses[0].item() == losses[1].item() != losses[2].item(), f"step {step}: two was never measured"
        for task, loss in zip((one, two, other), losses, strict=True):
            loss.backward()
            torch.optim.SGD(task.parameters(), 0.01).step()
    assert one.model.training and one.validate() == two.validate() != other.validate()


@pytest.mark.parametrize("name", FREE)
def test_roles_are_found_for_every_weight(name):
    model = PROBLEMS[name].make(0, None).model
    assert len(list(fallline.roles(model))) == len(list(model.parameters()))
    assert PROBLEMS[name].title and len(PROBLEMS[name].fingerprint(None)) == 12


def test_batch_norm_is_measured_by_averages_of_the_weights_as_they_are():
    task = PROBLEMS["digits-resnet"].make(0, None)
    before = [b.clone() for b in task.model.buffers()]
    first = task.validate()
    assert all(map(torch.equal, task.model.buffers(), before))
    task.loss()  # moves the running averages, not the weights
    assert not all(map(torch.equal, task.model.buffers(), before)) and task.validate() == first


def test_lora_starts_where_the_teacher_ended_and_moves_its_factors_only():
    task = PROBLEMS["lora"].make(0, None)
    plain = PROBLEMS["chars-gpt"].make(0, None)
    plain.model.load_state_dict(text.schooled())
    letters = text.prose()[None, :20]
    assert torch.allclose(task.model(letters), plain.model(letters), atol=1e-6)
    assert {name.split(".")[-2] for name, p in task.model.named_parameters() if p.requires_grad} == {"lora_A", "lora_B"}


def test_three_in_ten_labels_are_wrong_and_none_that_validate():
    task, true = (PROBLEMS[name].make(0, None) for name in ("noisy-labels", "digits-mlp"))
    split, right = (one.cost.__closure__ for one in (task, true))
    split, right = (
        next(c.cell_contents for c in cells if hasattr(c.cell_contents, "targets")) for cells in (split, right)
    )
    assert 0.27 < (split.targets != right.targets).float().mean() < 0.33
    assert torch.equal(split.valid_targets, right.valid_targets)


def test_fashion_joins_with_data_only(tmp_path):
    for k, name in enumerate(FILES):
        shape = (40,) if k % 2 else (40, 28, 28)
        body = bytes(i % (10 if k % 2 else 256) for i in range(torch.Size(shape).numel()))
        write_idx(tmp_path / name, shape, body, packed=False)
    added = [p for p in wanted((), tmp_path) if p.name not in FREE]
    assert {p.half for p in added} == {CHOSEN, HELD_OUT} and all(p.data for p in added)
    for problem in added:
        assert run(trial(problem=problem.name, steps=2), tmp_path)["final"] is not None
        assert problem.fingerprint(tmp_path)


def test_the_halves_are_disjoint_and_alike():
    by_kind = {}
    for problem in PROBLEMS.values():
        by_kind.setdefault(problem.kind, []).append(problem.half)
    assert all(sorted(halves) == [CHOSEN, HELD_OUT] for halves in by_kind.values())
    assert len(FREE) == 16


# --- the protocol on hand-made numbers ----------------------------------------------------------------------------


def record(seed, points, lr=0.1):
    final = points[-1][1]
    return {
        "trial": {"seed": seed, "lr": lr, "beta": None, "schedule": "constant"},
        "points": [[step, value, step / 100] for step, value in points],
        "final": final,
    }


def descent(seed, *values, lr=0.1):
    return record(seed, [(10 * k, value) for k, value in enumerate(values)], lr)


RUNS = {
    ("digits-mlp", YARDSTICK): [descent(0, 4, 2, 1.0), descent(1, 4, 2, 1.2), descent(2, 4, 1.05, 0.8)],
    ("digits-mlp", "auto"): [descent(0, 4, 1.03, 1.03), descent(1, 4, 0.9, 0.9), descent(2, 4, 0.99, 1.1)],
    ("digits-cnn", YARDSTICK): [descent(seed, 4, 3, 2) for seed in range(3)],
    ("digits-cnn", "auto"): [descent(0, 4, 3, 2), descent(1, 4, 3, 2), descent(2, 4, 1, None)],
}


def test_targets_costs_and_regret_by_hand():
    found = {(s.problem, s.entrant): s for s in standing.standings(RUNS)}
    assert standing.target(RUNS, "digits-mlp") == 1.0
    assert found["digits-mlp", YARDSTICK].costs == (20, 20, 0.2, 0.2), "steps 20, inf, 20; 5 % looser: 20, inf, 10"
    assert found["digits-mlp", "auto"].costs == (10, 10, 0.1, 0.1), "steps inf, 10, 10; 5 % looser: 10 thrice"
    assert found["digits-cnn", "auto"].costs[0] == 20 and math.isinf(found["digits-cnn", "auto"].final)
    rows = {(row["half"], row["entrant"]): row for row in standing.scores(list(found.values()))}
    assert rows["all", "auto"]["steps"] == 1.0 and rows["all", YARDSTICK]["steps"] == pytest.approx((2 / 3 + 1) / 2)
    assert rows["chosen", "auto"]["regret"] == pytest.approx((1.03 + 0.9 + 1.1) / 3 - 1)
    assert rows["chosen", "auto"]["near"] == 1.0 and rows["all", "auto"]["near"] == 0.5
    assert rows["held-out", "auto"]["regret"] is None and rows["all", "auto"]["failures"] == 1
    assert rows["all", YARDSTICK]["regret"] == 0.0


def test_a_target_that_nobody_reaches_scores_nothing():
    assert score.ratios([math.inf, math.inf]) == [math.inf, math.inf]
    assert score.area([math.inf]) == 0.0 and score.profile([math.inf], 4.0) == 0.0
    # Two seeds of tuned AdamW at 1 and 3 have the median 2, which one of them does not reach: nor does their median.
    runs = {("bowl", YARDSTICK): [descent(0, 4, 1), descent(1, 4, 3)]}
    (row,) = (row for row in standing.scores(standing.standings(runs)) if row["half"] == "all")
    assert row["steps"] == 0.0 and row["near"] == 1.0


def test_the_area_is_the_integral_of_the_profile():
    found = [1.0, 1.3, 2.7, 3.999, 4.0, 8.0, math.inf]
    taus = torch.linspace(1, 4, 30001, dtype=torch.float64)
    heights = torch.tensor([score.profile(found, tau) for tau in taus.tolist()], dtype=torch.float64)
    assert score.area(found) == pytest.approx(torch.trapezoid(heights, taus).item() / 3, abs=1e-4)


def test_the_best_configuration_has_the_lowest_mean_and_a_failure_loses():
    sweep = [descent(0, 4, 1, lr=0.1), descent(1, 4, 3, lr=0.1), descent(0, 4, 1.9, lr=0.3), descent(1, 4, 1.9, lr=0.3)]
    assert best(sweep)[0]["trial"]["lr"] == 0.3
    assert best([*sweep[:3], descent(1, 4, None, lr=0.3)])[0]["trial"]["lr"] == 0.1


def test_a_sweep_goes_on_beyond_its_edge():
    entrant = Entrant("x", "torch.SGD", (0.1, 0.3))
    up = [descent(0, 4, 2, lr=0.1), descent(0, 4, 1, lr=0.3)]
    assert beyond(entrant, up) == [Point(1.0)] and beyond(replace(entrant, lrs=()), up) == []
    assert beyond(entrant, [*up, descent(0, 4, 3, lr=1.0)]) == []
    assert beyond(entrant, [descent(0, 4, 1, lr=0.1), up[1]]) == [Point(0.03)]
    assert beyond(entrant, [descent(0, 4, None, lr=0.1)]) == [], "everything failed"
    assert all(set(e.lrs) <= set(LADDER) for e in ENTRANTS.values()), "or it could not be widened"


# --- runs ---------------------------------------------------------------------------------------------------------


def suite(tmp_path, **changes):
    return Suite(
        **{"out": tmp_path, "problems": ("bowl", "digits-mlp"), "entrants": ("sgd-default",), "quick": True} | changes
    )


def test_a_second_suite_runs_nothing_and_a_broken_file_again(tmp_path, monkeypatch):
    first, ran = result(suite(tmp_path), silent, shift=False), []
    monkeypatch.setattr("fallline.race.suite.trial.run", lambda *a: ran.append(a[0]) or run(*a))
    again = result(suite(tmp_path), silent, shift=False)
    assert again["standings"] == first["standings"] and not ran
    victim = next((tmp_path / "runs").glob("*.json"))
    victim.write_text(victim.read_text()[:50])
    finals = [s["finals"] for s in result(suite(tmp_path), silent, shift=False)["standings"]]
    assert finals == [s["finals"] for s in first["standings"]] and [t.key for t in ran] == [victim.stem]


def test_more_seeds_reuse_what_is_there_and_hours_end(tmp_path, monkeypatch):
    result(suite(tmp_path), silent, shift=False)
    before = len(list((tmp_path / "runs").glob("*.json")))
    monkeypatch.setattr("fallline.race.suite.trial.run", lambda t, data: run(t, data) if t.seed else pytest.fail())
    with pytest.raises(TimeoutError, match="hours of --budget are over"):
        suite(tmp_path, seeds=2, hours=1e-9).runs(silent)
    assert len(list((tmp_path / "runs").glob("*.json"))) == before + 1


def test_a_failure_is_infinite_and_so_is_an_end_above_the_start():
    assert run(trial("torch.SGD", lr=1e9, steps=40))["final"] is None
    worse = run(trial("torch.SGD", lr=3.0, steps=5))
    assert worse["final"] is None and all(point[1] is not None for point in worse["points"])


def test_the_cosine_ends_near_zero_and_the_constant_stays():
    ends = {name: run(trial(lr=0.1, schedule=name, steps=50))["lr"] for name in ("cosine", "constant")}
    assert ends["constant"] == 0.1 and ends["cosine"] == pytest.approx(0.1 * (1 + math.cos(math.pi * 49 / 50)) / 2)


class Shy(torch.optim.SGD):
    """Says when it is asked to show other weights, and what loss it is told."""

    said: list = []  # noqa: RUF012

    def step(self, closure=None):
        self.said.append(float(closure()))
        return super().step()

    def eval(self):
        self.said.append("eval")

    def train(self):
        self.said.append("train")


def test_optimizers_are_told_the_loss_and_when_they_are_judged(monkeypatch):
    monkeypatch.setattr(fallline, "Shy", Shy, raising=False)
    monkeypatch.setitem(MAKERS, "Shy", Ours("Shy", loss=True))
    run(trial("Shy", lr=0.1, steps=2))
    words = [x if isinstance(x, str) else "loss" for x in Shy.said]
    assert words == ["eval", "train", "loss", "eval", "train", "loss", "eval", "train"]


def test_peers_do_not_depend_on_fallline_and_ours_on_their_own_files_only():
    assert "fallline" not in origin("torch.AdamW") and "fallline" in origin("Lion")
    assert ours(fallline.Lion) and not ours(fallline.Descent) and not ours(torch.optim.SGD)
    rule = fallline.Lion([torch.nn.Parameter(torch.ones(2))])._sections()[0].rule
    assert {type(part).__name__ for part in parts(rule)} >= {"QuasiHyperbolic", "Sign", "Constant"}


def test_ours_may_have_other_numbers_and_something_around_them():
    model = PROBLEMS["digits-mlp"].make(0, None).model
    (soda,) = Ours("AdamW", around="Soda", numbers=(("lr", 0.02),))(model, {"weight_decay": 0.0})
    assert isinstance(soda, fallline.Soda) and soda.param_groups[0]["lr"] == 0.02
    assert Ours("AdamW", around="Tiger").kind is None


@pytest.mark.parametrize("maker", ["torch.AdamW", "torch.SGD", "torch.Muon"])
def test_peers_move_every_trainable_weight_once(maker):
    for name in ("digits-vit", "lora", "bowl"):
        model = PROBLEMS[name].make(0, None).model
        moved = [p for o in MAKERS[maker](model, {}) for group in o.param_groups for p in group["params"]]
        assert sorted(map(id, moved)) == sorted(id(p) for p in model.parameters() if p.requires_grad)


def test_the_yardstick_always_runs_and_the_missing_say_so(tmp_path, monkeypatch):
    assert [e.name for e in entered(("lion",))] == [YARDSTICK, "lion"]
    monkeypatch.setitem(MAKERS, "Lion", Ours("Tiger"))
    monkeypatch.setitem(ENTRANTS, "lion", ENTRANTS["lion"])
    assert "fallline has no" in suite(tmp_path, entrants=("lion",)).skipped["lion"]
    with pytest.raises(ValueError, match="known are adamw"):
        entered(("fast",))
    with pytest.raises(ValueError, match="known are digits-mlp"):
        wanted(("fast",), None)
    names = [e.name for e in turned([ENTRANTS[n] for n in ("adamw-default", "adamw", "sgd-default")])]
    assert names == ["adamw", "sgd-default"], "the tuned one, or the only one"


def test_the_command_writes_scores_pages_and_pictures(tmp_path):
    words = "race suite --quick --shift --workers 1 --problems bowl,completion --entrants sgd,lion-default"
    told = CliRunner().invoke(app, [*words.split(), "--out", str(tmp_path)], env={"COLUMNS": "200"})
    assert told.exit_code == 0, told.output
    found = json.loads((tmp_path / "results.json").read_text())
    assert {row["half"] for row in found["scores"]} == {"all", CHOSEN, HELD_OUT}
    assert {row["factor"] for row in found["shift"]} == {0.1, 0.3, 1.0, 3.0, 10.0}
    assert (tmp_path / "suite.md").read_text() == page(found) and "| lion-default |" in page(found)
    assert all((tmp_path / name).read_bytes()[:4] == b"\x89PNG" for name in ("profile.png", "shift.png"))
    assert "regret" in told.output and shift(found, tmp_path / "again.png").exists()


def test_results_are_written_into_the_page(tmp_path):
    docs, out = tmp_path / "docs", tmp_path / "out"
    docs.mkdir()
    (docs / "suite.md").write_text("before\n<!-- results: begin -->\nold\n<!-- results: end -->\nafter\n")
    told = result(suite(out, problems=("bowl",)), silent, shift=True)
    for name in PICTURES:
        (out / name).write_bytes(b"a picture")
    publish(out, docs)
    text = (docs / "suite.md").read_text()
    assert page(told) in text and "old" not in text and text.startswith("before") and text.endswith("after\n")
    assert all(f"({shown})" in text and (docs / shown).exists() for shown in PICTURES.values())
    assert (docs / "suite.json").read_bytes() == (out / "results.json").read_bytes()


def test_the_page_says_where_auto_stands():
    problems = [{"name": name, "half": half} for name, half in (("a", CHOSEN), ("b", HELD_OUT), ("c", HELD_OUT))]
    gaps = {"a": -0.5, "b": 0.019, "c": None}
    found = [{"entrant": "auto", "problem": name, "to_tuned": gap} for name, gap in gaps.items()]
    said = stand({"standings": found, "problems": problems, "yardstick": "adamw"})
    assert "on 1 of 1 chosen problems and within 2 % or lower on 1 of 2 held out problems" in said[0]
    assert "It loses on c (inf). The others: b (+1.9 %), a (-50.0 %)." in said[0]
    assert stand({"standings": [], "problems": problems, "yardstick": "adamw"}) == []


@pytest.mark.parametrize("words", ["--problems fast", "--entrants fast", "--problems fashion-mlp"])
def test_bad_options_are_named(words, tmp_path):
    told = CliRunner().invoke(app, ["race", "suite", *words.split(), "--out", str(tmp_path)], env={"COLUMNS": "300"})
    assert told.exit_code == 2 and ("known are" in told.output or "fashion-mnist on GitHub" in told.output)


def test_race_itself_still_races():
    told = CliRunner().invoke(app, ["race", "nonsense"], env={"COLUMNS": "300"})
    assert told.exit_code == 2 and "Unknown workload nonsense" in told.output


def test_optimizers_that_ask_for_two_gradients_are_refused():
    with pytest.raises(ValueError, match="UDoG takes several gradients in a step"):
        check_gradients([UDoG([torch.nn.Parameter(torch.ones(2))])])
    check_gradients([AdamW([torch.nn.Parameter(torch.ones(2))]), torch.optim.SGD([torch.nn.Parameter(torch.ones(2))])])
