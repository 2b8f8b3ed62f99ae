"""The race on tiny sizes: results follow the schema, nothing is trained twice, nothing that diverged is lost."""

import gzip
import json
from dataclasses import replace

import pytest
import torch
from typer.testing import CliRunner

from fallline import roles
from fallline.cli.__main__ import app
from fallline.cli.racing import entrants
from fallline.race import check
from fallline.race.fashion import FASHION, FILES
from fallline.race.plan import Plan
from fallline.race.race import Race
from fallline.race.registry import WORKLOADS, expand
from fallline.race.runner import Runner
from fallline.race.schema import RESULT, validate
from fallline.race.store import Store
from fallline.race.summary import rows
from fallline.race.train import train
from fallline.race.verdict import verdicts

jsonschema = pytest.importorskip("jsonschema")
TINY = Plan("quadratic", lrs=(0.01, 0.03), momenta=(0.5, 0.99), seeds=2, steps=8).filled()


def silent(record, fresh):
    """A tick that shows nothing."""


def result_of(plan, out, workers=1):
    return Race(plan, out, workers=workers).result(silent, certify=False)


def test_chars_from_the_command_line(tmp_path):
    words = "race chars --quick --steps 3 --seeds 1 --lr 3e-3 --momentum .5,.99 --workers 1 --schedule cosine"
    told = CliRunner().invoke(app, [*words.split(), "--out", str(tmp_path)], env={"COLUMNS": "120"})
    assert told.exit_code == 0, told.output
    result = json.loads((tmp_path / "chars" / "results.json").read_text())
    jsonschema.validate(result, RESULT)
    assert {run["label"] for run in result["runs"]} == {"momentum 0.5", "momentum 0.99", "auto", "paper"}
    assert (tmp_path / "chars" / "race.png").read_bytes()[:4] == b"\x89PNG"
    assert "Cosine schedule: auto is " in told.output


def test_a_second_race_trains_nothing_and_a_truncated_file_is_redone(tmp_path, monkeypatch):
    first, trained = result_of(TINY, tmp_path), []
    monkeypatch.setattr("fallline.race.runner.train", lambda *a: trained.append(a[0]) or train(*a))
    assert result_of(TINY, tmp_path)["rows"] == first["rows"]
    assert not trained
    victim = next((tmp_path / "quadratic" / "runs").glob("*.json"))
    victim.write_text(victim.read_text()[:100])
    assert result_of(TINY, tmp_path)["rows"] == first["rows"]
    assert [s.key for s in trained] == [victim.stem]


def test_more_seeds_reuse_what_is_there(tmp_path, monkeypatch):
    result_of(TINY, tmp_path)
    trained = []
    monkeypatch.setattr("fallline.race.runner.train", lambda *a: trained.append(a[0].seed) or train(*a))
    result_of(replace(TINY, seeds=3), tmp_path)
    assert set(trained) == {2}


def test_worker_processes_give_the_same_numbers(tmp_path):
    plan = replace(TINY, lrs=(0.03,), schedules=("constant",), seeds=1)
    here, there = (result_of(plan, tmp_path / str(n), workers=n) for n in (1, 2))
    assert here["rows"] == there["rows"]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_diverged_runs_are_shown(tmp_path):
    plan = replace(TINY, lrs=(0.03, 1e6), steps=60)
    result = result_of(plan, tmp_path)
    lost = [run for run in result["runs"] if run["diverged"]]
    assert {(run["label"], run["setting"]["lr"]) for run in lost} >= {("momentum 0.5", 1e6)}
    assert all(run["validation"] is None and run["diverged_at"] is not None for run in lost)
    assert all(row["lr"] == 0.03 for row in result["rows"])
    assert any("runs diverged" in sentence for sentence in result["verdicts"])


def test_the_task_of_a_seed_is_the_same_for_every_contender():
    for name in ("digits-mlp", "digits-cnn", "quadratic", "grokking", "power-law"):
        one, two, other = (WORKLOADS[name].task(seed, None) for seed in (0, 0, 1))
        assert one.loss().item() == two.loss().item() != other.loss().item()


def test_building_a_task_leaves_the_callers_random_numbers_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    WORKLOADS["digits-mlp"].task(5, None)
    assert torch.equal(torch.rand(3), expected)


def test_controls_replay_another_seed(tmp_path):
    plan = replace(TINY, lrs=(0.03,), schedules=("constant",), steps=30, controls=True)
    result = result_of(plan, tmp_path)
    store = Store(tmp_path / "quadratic" / "runs")
    followers = [run["setting"] for run in result["runs"] if run["setting"]["source"]]
    assert {s["contender"] for s in followers} == {"replay", "lr-only"}
    for run in (run for run in result["runs"] if run["setting"]["source"]):
        source = store.load(run["setting"]["source"])
        assert source["setting"]["seed"] != run["setting"]["seed"]
        mine = store.load(run["key"])
        if run["label"] == "replay":
            assert mine["path"]["choice"] == source["path"]["choice"]
        else:
            assert run["curve"]["effective_lr"] == pytest.approx(source["curve"]["effective_lr"])


def test_replaying_its_own_path_is_the_same_run():
    s = replace(TINY, controls=True, lrs=(0.03,)).settings(None)
    leader = next(x for x in s if x.contender == "unit-power")
    source = train(replace(leader, steps=40))
    again = train(replace(leader, steps=40, contender="replay", source=source["key"]), None, source)
    assert again["validation"] == pytest.approx(source["validation"], rel=1e-6)


def record(label, contender, seed, score, lr=0.1, bank=()):
    momentum = float(label.split()[1]) if contender == "fixed" else None
    setting = {"contender": contender, "schedule": "constant", "lr": lr, "seed": seed, "momentum": momentum}
    return {"label": label, "setting": setting, "validation": score, "candidates": list(bank)}


def verdict_of(auto, fixed):
    runs = [record("momentum 0.5", "fixed", k, x) for k, x in enumerate(fixed)]
    runs += [record("auto", "auto", k, x, bank=(0.5, 0.9)) for k, x in enumerate(auto)]
    return verdicts(rows(runs))[0]


def test_verdicts_say_who_wins():
    assert "fixed momentum 0.5 wins over auto by 10.0 %" in verdict_of((1.1, 1.1, 1.1), (1.0, 1.0, 1.0))
    assert "auto wins over fixed momentum 0.5" in verdict_of((0.8, 0.81, 0.8), (1.0, 1.0, 1.0))
    assert "too close to call" in verdict_of((0.9, 1.1, 1.0), (1.0, 1.0, 1.0))
    assert "more seeds" in verdict_of((0.9,), (1.0,))
    assert "auto diverged at every lr, with some seed at least (1 runs)" in verdict_of((None, 1.0), (1.0, 1.0))
    assert "auto is equal to fixed momentum 0.5 in every run" in verdict_of((1.0, 1.1), (1.0, 1.1))
    assert "every fixed momentum diverged" in verdict_of((1.0, 1.0), (None, 1.0))


def test_differences_are_paired_by_seed():
    runs = [record("momentum 0.5", "fixed", k, x) for k, x in enumerate((1.0, 2.0, 4.0))]
    runs += [record("auto", "auto", k, x, bank=(0.5,)) for k, x in enumerate((1.1, 2.2, 4.4))]
    auto = rows(runs)[-1]
    assert auto["to_best_fixed"]["difference"] == pytest.approx(0.1)
    assert auto["to_bank"]["spread"] < 0.1 < auto["spread"]


def test_a_difference_has_the_sign_of_the_means_beside_it():
    runs = [record("momentum 0.5", "fixed", k, x) for k, x in enumerate((1.0, 4.0))]
    runs += [record("auto", "auto", k, x) for k, x in enumerate((1.5, 3.4))]
    auto = rows(runs)[-1]
    assert auto["to_best_fixed"]["difference"] == pytest.approx(4.9 / 5.0 - 1)


def test_the_same_number_twice_is_no_second_seed():
    plan = Plan("quadratic", lrs=(0.01, 0.01), momenta=(0.5, 0.5)).filled()
    assert (plan.lrs, plan.momenta) == ((0.01,), (0.5,))


def test_after_a_failing_run_no_other_is_started(tmp_path):
    """In several processes; what was under way is kept."""
    good = replace(TINY, steps=2000, seeds=20).settings(None)
    bad = replace(good[0], workload="nonsense")
    with pytest.raises(KeyError, match="nonsense"):
        Runner(Store(tmp_path), None, 2).run([bad, *good], silent)
    assert len(list(tmp_path.glob("*.json"))) < len(good) / 2


def test_unit_gain_is_no_control_of_adamw():
    names = {
        kind: {s.contender for s in replace(TINY, optimizer=kind, controls=True).settings(None)}
        for kind in ("adamw", "sgd")
    }
    assert names["sgd"] - names["adamw"] == {"unit-gain"}


def test_the_quadratics_start_is_the_known_one():
    # 1/200 of the table's steps; the full table is the slow test below. A plain loop is the reference of the choices.
    s = check.stream(seeds=2, steps=60)
    assert torch.allclose(check.chosen("same", 0.0, s), plain(s, lag=0, smoothing=0.0), rtol=1e-9)
    assert torch.allclose(check.chosen("held-out", 0.9, s), plain(s, lag=1, smoothing=0.9), rtol=1e-9)


def plain(s, lag, smoothing):
    """The choices of `check.chosen` from the formulas, one loop."""
    beta = torch.tensor(check.MOMENTA, dtype=torch.float64)[:, None, None, None]
    x, buf, seen, total = s.start.expand(len(check.SIGMAS), -1, -1), torch.zeros(()), torch.zeros(()), torch.zeros(())
    for noise in s.noise:
        g = check.noisy(x, noise)
        before, buf = buf, beta * buf + g
        heard = beta * before if lag else buf
        pay = (1 - beta**2).sqrt() * (g * heard).sum(-1, keepdim=True)
        seen = smoothing * seen + (1 - smoothing) * pay
        best = seen.argmax(0, keepdim=True).expand(-1, -1, -1, x.shape[-1])
        x = x - check.ETA * ((1 - beta**2).sqrt() * buf).gather(0, best)[0]
        total = total + check.loss(x)
    return total.mean(-1) / len(s.noise)


@pytest.mark.slow
def test_the_quadratics_table_is_the_known_one():
    assert check.table().faults == ()


def write_idx(path, shape, body, packed):
    raw = b"\0\0\x08" + bytes([len(shape)]) + b"".join(n.to_bytes(4, "big") for n in shape) + body
    (path.with_name(path.name + ".gz") if packed else path).write_bytes(gzip.compress(raw) if packed else raw)


@pytest.mark.parametrize("packed", [False, True])
def test_fashion_reads_idx_files(tmp_path, packed):
    for k, name in enumerate(FILES):
        n = 12 if name.startswith("train") else 6
        shape = (n,) if k % 2 else (n, 4, 4)
        body = bytes(i % (10 if k % 2 else 256) for i in range(torch.Size(shape).numel()))
        write_idx(tmp_path / name, shape, body, packed)
    split = FASHION.source(tmp_path)
    assert split.inputs.shape == (12, 16) and split.valid_targets.tolist() == [0, 1, 2, 3, 4, 5]
    assert split.inputs[0, 1].item() == pytest.approx(1 / 255)
    assert FASHION.task(0, tmp_path).loss().isfinite()


def test_fashion_says_which_files_are_missing_and_where(tmp_path):
    told = CliRunner().invoke(app, ["race", "fashion", "--data", str(tmp_path)], env={"COLUMNS": "400"})
    assert told.exit_code == 2
    assert all(name in told.output for name in FILES)
    assert str(tmp_path.resolve()) in told.output and "fashion-mnist on GitHub" in told.output


def test_fashion_refuses_a_file_cut_short(tmp_path):
    for name in FILES:
        write_idx(tmp_path / name, (5, 4, 4), b"\0" * 7, packed=False)
    with pytest.raises(ValueError, match="cut short"):
        FASHION.source(tmp_path)


def test_fashion_refuses_files_that_do_not_belong_together(tmp_path):
    for k, name in enumerate(FILES):
        shape = (5,) if k % 2 else (6, 4, 4)
        write_idx(tmp_path / name, shape, bytes(torch.Size(shape).numel()), packed=False)
    with pytest.raises(ValueError, match=r"6 images, but .* has 5 labels"):
        FASHION.source(tmp_path)


def test_fashion_refuses_a_packed_file_cut_short(tmp_path):
    for name in FILES:
        write_idx(tmp_path / name, (5, 4, 4), bytes(80), packed=True)
    victim = tmp_path / f"{FILES[0]}.gz"
    victim.write_bytes(victim.read_bytes()[:-12])
    told = CliRunner().invoke(app, ["race", "fashion", "--data", str(tmp_path)], env={"COLUMNS": "400"})
    assert told.exit_code == 2 and "cut short or no gzip file" in told.output


def test_a_foreign_file_among_the_runs_is_no_record(tmp_path):
    (tmp_path / "key.json").write_text("[1]")
    assert Store(tmp_path).load("key") is None


def test_aliases_expand():
    assert expand(["digits", "chars", "digits-cnn"]) == ["digits-mlp", "digits-cnn", "chars"]


def test_a_results_file_with_a_missing_field_is_refused(tmp_path):
    result = result_of(replace(TINY, lrs=(0.03,), seeds=1, steps=3, schedules=("constant",)), tmp_path)
    del result["runs"][0]["seconds"]
    with pytest.raises(jsonschema.ValidationError, match="seconds"):
        validate(result)


def test_an_interrupted_race_keeps_what_it_finished(tmp_path, monkeypatch):
    settings = TINY.settings(None)[:4]
    calls = []

    def stops(s, *rest):
        calls.append(s)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return train(s, *rest)

    monkeypatch.setattr("fallline.race.runner.train", stops)
    with pytest.raises(KeyboardInterrupt):
        Runner(Store(tmp_path), None, 1).run(settings, silent)
    assert len(list(tmp_path.glob("*.json"))) == 2
    assert not list(tmp_path.glob("*.part"))


def test_named_optimizers_race_each_other(tmp_path, monkeypatch):
    """As many names as one likes after --optimizer; the first is the yardstick, and routed ones know the model."""
    told_roles = []
    monkeypatch.setattr("fallline.roles", lambda model: told_roles.append(model) or roles(model))
    words = "race digits-mlp --optimizer adamw muon sgd --lr 3e-3 --steps 3 --seeds 2 --workers 1 --schedule cosine"
    told = CliRunner().invoke(app, [*words.split(), "--out", str(tmp_path)], env={"COLUMNS": "120"})
    assert told.exit_code == 0, told.output
    result = json.loads((tmp_path / "digits-mlp" / "results.json").read_text())
    jsonschema.validate(result, RESULT)
    assert [row["label"] for row in result["rows"]] == ["adamw", "muon", "sgd"]
    assert [row["to_best_fixed"]["other"] for row in result["rows"]] == ["adamw"] * 3
    assert len(told_roles) == 2 and len(result["verdicts"]) == 2, (
        "one for each seed of muon; no verdict on adamw itself"
    )
    assert "vs adamw" in told.output


def test_a_named_optimizers_grid_grows_where_its_best_is_at_the_edge(tmp_path):
    plan = Plan("quadratic", names=("sgd",), seeds=1, steps=4, schedules=("constant",), quick=True).filled()
    recipe = plan.grid("sgd")
    result = result_of(plan, tmp_path)
    lrs = sorted({run["setting"]["lr"] for run in result["runs"]})
    assert recipe == (0.025, 0.05, 0.1) and len(lrs) > 3 and set(recipe) < set(lrs)
    assert not plan.wider(None, [run | {"validation": abs(run["setting"]["lr"] - 0.05)} for run in result["runs"][:3]])


def test_names_and_families_are_told_apart():
    assert entrants(["chars", "nobody", "muon"], ["adamw"]) == (["chars", "nobody"], None, ("adamw", "muon"))
    assert entrants(["chars"], ["adamw"]) == (["chars"], "adamw", ())
    assert entrants(["chars"], ["adamw,muon"]) == (["chars"], None, ("adamw", "muon"))
    assert entrants(["chars"], None) == (["chars"], None, ())
    with pytest.raises(ValueError, match=r"nonsense; known are .*muon"):
        Plan("chars", names=("nonsense",)).filled()
    with pytest.raises(ValueError, match="not of names"):
        Plan("chars", names=("muon",), controls=True).filled()
