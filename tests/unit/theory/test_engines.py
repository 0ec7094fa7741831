"""Engines: reduced against direct in law, one step against brute force, limits, identities, determinism."""

import math
import sys

import numpy as np
import pytest
from scipy.stats import ks_2samp

from w2sg.theory.engines import direct, flows, kernels, reduced
from w2sg.theory.model import closed_forms, law, population
from w2sg.theory.model.activations import he3, projected_tanh, softplus
from w2sg.theory.model.law import FineTuning, SpikedModel

SETTING = SpikedModel(lam=1.5, kappa=0.6, c_w=0.5, dimension=30)
WHERE = law.geometry(SETTING, 0.4)
STATE = np.array([0.5, 0.3, -0.2, 0.0])
STATE[3] = math.sqrt(1 - STATE @ STATE)


def brute_total(sigma, batch, runs, rng, d=9):
    """Sums of h x over a batch in d real dimensions: four named coordinates, norm of the others, sum of h^2."""
    spike, weak, theta = (np.append(x, np.zeros(d - len(x))) for x in (WHERE.spike, WHERE.weak, STATE))
    z = rng.standard_normal((runs, batch, d))
    x = z + (math.sqrt(1 + SETTING.lam) - 1) * (z @ spike)[..., None] * spike
    a, b = x @ theta, x @ weak
    h = (sigma.derivative(a) - sigma.derivative(b)) * sigma.derivative(a, 1)
    total = np.einsum("rb,rbd->rd", h, x)
    return total[:, :4], np.linalg.norm(total[:, 4:], axis=1), np.sum(h**2, axis=1)


@pytest.mark.parametrize("batch", [1, 7])
@pytest.mark.parametrize(
    "sigma", [softplus(1.0), projected_tanh(SETTING.variance), he3(SETTING.variance)], ids=lambda s: s.name
)
def test_one_batch_has_the_law_of_real_samples(sigma, batch):
    runs, d = 4000, 9
    rng = np.random.default_rng(7)
    named, others, squares = brute_total(sigma, batch, runs, rng, d)
    fast = np.empty((runs, 6))
    total = np.empty(4)
    for k in range(runs):
        setting = (rng, STATE, WHERE.weak, WHERE.spike, SETTING.lam, sigma.code, sigma.p0, sigma.p1)
        draw = kernels.sample_total if batch == 1 else kernels.batch_total
        square = draw(*setting, *([batch] if batch > 1 else []), total)
        fast[k] = [*total, math.sqrt(square * rng.chisquare(d - 4)), square]
    slow = np.column_stack([named, others, squares])
    for k in range(6):
        assert ks_2samp(slow[:, k], fast[:, k]).pvalue > 1e-4
    # Joint law: products of coordinates, which marginals cannot see, by their ranks.
    for j, k in ((0, 1), (0, 3), (1, 2), (2, 4)):
        assert ks_2samp(slow[:, j] * slow[:, k], fast[:, j] * fast[:, k]).pvalue > 1e-4
    u4 = np.append(WHERE.weak, 0.0)
    exact = population.gradient(sigma, STATE, u4, spike=np.append(WHERE.spike, 0.0), lam=SETTING.lam)
    error = fast[:, :4].std(0) / math.sqrt(runs) / batch
    assert np.all(np.abs(fast[:, :4].mean(0) / batch - exact) < 5 * error)


@pytest.mark.parametrize(("batch", "eta", "steps"), [(1, 0.02, 600), (20, 0.004, 60)])
@pytest.mark.parametrize("labels", ["weak", "true"])
def test_reduced_engine_has_the_law_of_the_direct_one(batch, eta, steps, labels):
    runs, sigma = 300, he3(SETTING.variance)
    schedule = FineTuning(eta=eta, steps=steps, batch=batch, mode="online" if batch == 1 else "batch", labels=labels)
    rng = np.random.default_rng(8)
    where = direct.draw_directions(SETTING, runs, rng)
    start = direct.draw_start(where, 0.5, rng)
    _, slow = direct.fine_tune(start, where, SETTING, schedule, sigma, rng)
    fast = np.empty((runs, 3))
    for k in range(runs):
        own = law.draw_geometry(SETTING, rng)
        path = reduced.fine_tune(law.warm_start(0.5, 30, rng), own, schedule, sigma, rng)
        fast[k] = own.overlaps(path.states)[-1]
    for k in range(3):
        a, b = slow[-1, :, k], fast[:, k]
        gap = abs(a.mean() - b.mean()) / math.hypot(a.std() / math.sqrt(runs), b.std() / math.sqrt(runs))
        assert gap < 4.5 and ks_2samp(a, b).pvalue > 1e-4


@pytest.mark.parametrize("batch", [1, 3])
def test_one_large_step_in_six_dimensions(batch):
    """Few dimensions and one large step: the number of unnamed directions decides the law of m and of r."""
    runs, sigma, rng = 4000, softplus(1.0), np.random.default_rng(10)
    small = SpikedModel(lam=SETTING.lam, kappa=SETTING.kappa, c_w=SETTING.c_w, dimension=6)
    where = law.geometry(small, 0.4)
    schedule = FineTuning(
        eta=6.0 * (6 if batch == 1 else 1), steps=1, batch=batch, mode="online" if batch == 1 else "batch"
    )
    fast = np.array([reduced.fine_tune(STATE, where, schedule, sigma, rng).states[-1] for _ in range(runs)])
    named, others, _ = brute_total(sigma, batch, runs, rng, d=6)
    slow = np.column_stack([STATE - 6.0 / batch * named, 6.0 / batch * others])
    slow /= np.linalg.norm(slow, axis=1, keepdims=True)
    assert ks_2samp(slow[:, 0], fast[:, 0]).pvalue > 1e-4
    assert ks_2samp(np.hypot(slow[:, 3], slow[:, 4]), fast[:, 3]).pvalue > 1e-4


def test_distances():
    where = law.geometry(SpikedModel(lam=1.0, kappa=0.5, c_w=0.6))
    assert SpikedModel(lam=1.0, kappa=0.5, c_w=0.6).weak_distance == pytest.approx(
        np.linalg.norm(where.weak - where.target)
    )
    assert law.distance(0.6) == pytest.approx(math.sqrt(0.8))
    assert SETTING.variance == pytest.approx(1 + SETTING.lam * WHERE.spike[0] ** 2)


def test_starts_and_directions_have_their_laws():
    d, runs, rng = 20, 3000, np.random.default_rng(9)
    small = SpikedModel(lam=1.0, kappa=0.5, c_w=0.6, dimension=d)
    where = [law.draw_geometry(small, rng) for _ in range(runs)]
    big = direct.draw_directions(small, runs, rng)
    cosines = np.einsum("rd,rd->r", big.spike, big.weak)
    assert ks_2samp([w.spike @ w.weak for w in where], cosines).pvalue > 1e-3
    for w in where[:20]:
        assert np.linalg.norm(w.spike) == pytest.approx(1) and np.linalg.norm(w.weak) == pytest.approx(1)
        assert w.weak[0] == pytest.approx(0.6) and w.spike[0] == pytest.approx(0.5)
    starts = np.array([law.spectral_start(0.7, where[0], rng) for _ in range(runs)])
    np.testing.assert_allclose(np.linalg.norm(starts, axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(where[0].overlaps(starts)[:, 1], 0.7, rtol=1e-12)
    spread = math.sqrt(1 - 0.49) * math.sqrt(1 - 0.25) / math.sqrt(d - 1)
    assert starts[:, 0].std() == pytest.approx(spread, rel=0.06)
    uniform = np.array([law.random_start(d, rng) for _ in range(runs)])
    assert uniform[:, 0].std() == pytest.approx(1 / math.sqrt(d), rel=0.06)
    warm = law.warm_start(0.3, d, rng)
    assert warm[0] == 0.3 and np.linalg.norm(warm) == pytest.approx(1)


def test_a_student_at_its_teacher_stays():
    start = np.append(WHERE.weak, 0.0)
    path = reduced.fine_tune(start, WHERE, FineTuning(eta=0.1, steps=20), softplus(1.0), np.random.default_rng(0))
    np.testing.assert_allclose(path.states[-1], start, atol=1e-6)


def test_no_step_no_move_and_records():
    path = reduced.fine_tune(
        STATE, WHERE, FineTuning(eta=0.0, steps=100, batch=3), softplus(1.0), np.random.default_rng(0), points=4
    )
    np.testing.assert_array_equal(path.steps, [0, 25, 50, 75, 100])
    np.testing.assert_allclose(path.states, np.tile(STATE, (5, 1)), atol=1e-14)
    np.testing.assert_array_equal(law.record_steps(3, 10), [0, 1, 2, 3])


def test_amplitude_only_rescales_the_step():
    unit, raw = he3(SETTING.variance), he3(SETTING.variance, "raw")
    for mode, batch in (("online", 1), ("batch", 50)):
        paths = []
        for sigma, eta in ((unit, 0.003), (raw, 0.003 * unit.p0**2)):
            schedule = FineTuning(eta=eta, steps=200, batch=batch, mode=mode)
            paths.append(reduced.fine_tune(STATE, WHERE, schedule, sigma, np.random.default_rng(1)).states)
        np.testing.assert_allclose(paths[0], paths[1], atol=1e-12)


def test_same_stream_same_path():
    schedule = FineTuning(eta=0.01, steps=30, batch=20)
    one, two = (reduced.fine_tune(STATE, WHERE, schedule, softplus(1.0), np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one.states, two.states)


def test_large_batches_follow_the_exact_gradient():
    sigma = he3(SETTING.variance)
    schedule = FineTuning(eta=0.002, steps=20, batch=200_000)
    noisy = reduced.fine_tune(STATE, WHERE, schedule, sigma, np.random.default_rng(2)).states[-1]
    exact = flows.descend(STATE, WHERE, schedule, sigma).states[-1]
    np.testing.assert_allclose(noisy, exact, atol=4e-3)
    assert np.abs(exact - STATE).max() > 0.02


def test_limit_flow_without_noise_is_fine_descent():
    sigma = he3(SETTING.variance)
    schedule = FineTuning(eta=1e-5, steps=20_000)
    fine = flows.descend(STATE, WHERE, schedule, sigma).states[-1]
    flow = flows.limit_flow(STATE, WHERE, sigma, horizon=0.2, noise=0.0, points=50)[-1]
    np.testing.assert_allclose(flow, fine, atol=1e-5)


def test_limit_flow_with_noise_is_the_limit_of_large_dimension():
    """The engine at d = 10^5 with the flow's noise; without its noise term the flow ends elsewhere."""
    big = SpikedModel(lam=1.5, kappa=0.6, c_w=0.5, dimension=100_000)
    sigma, noise, step = he3(big.variance), 0.05, 0.001
    schedule = FineTuning(eta=step, steps=100, batch=round(step * big.dimension / noise))
    assert schedule.noise(big.dimension) == pytest.approx(noise)
    where = law.geometry(big, 0.4)
    ends = [reduced.fine_tune(STATE, where, schedule, sigma, np.random.default_rng(k)).states[-1] for k in range(6)]
    flow = flows.limit_flow(STATE, where, sigma, horizon=0.1, noise=noise, points=40)[-1]
    still = flows.limit_flow(STATE, where, sigma, horizon=0.1, noise=0.0, points=40)[-1]
    np.testing.assert_allclose(np.mean(ends, axis=0), flow, atol=0.012)
    assert np.abs(still - flow).max() > 0.03


def test_sign_by_loss_follows_the_exact_margin():
    sigma = he3(SETTING.variance)
    margin = closed_forms.sign_margin(sigma, closed_forms.laws(STATE, WHERE.weak, WHERE))
    chosen = reduced.orient_by_loss(STATE, WHERE, sigma, np.random.default_rng(0), samples=200_000)
    assert (chosen is STATE) == (margin > 0)
    flipped = reduced.flip(STATE)
    back = reduced.orient_by_loss(flipped, WHERE, sigma, np.random.default_rng(0), samples=200_000)
    np.testing.assert_array_equal(back, chosen)
    np.testing.assert_array_equal(reduced.orient_by_truth(flipped), STATE)


def test_sign_by_loss_can_turn_away_from_the_truth():
    """Where the exact margin says that the wrong sign has the smaller loss, the rule takes it."""
    sigma, rng = he3(SETTING.variance), np.random.default_rng(1)
    margins = {}
    for _ in range(200):
        state = law.random_start(30, rng)
        state = reduced.orient_by_truth(state)
        margins[tuple(state)] = closed_forms.sign_margin(sigma, closed_forms.laws(state, WHERE.weak, WHERE))
    worst = np.array(min(margins, key=lambda state: margins[state]))
    assert margins[tuple(worst)] < 0 < worst[0]
    chosen = reduced.orient_by_loss(worst, WHERE, sigma, np.random.default_rng(0), samples=200_000)
    np.testing.assert_array_equal(chosen, reduced.flip(worst))


def test_two_uniform_directions_have_the_cosine_of_their_dimension():
    """E cos^2 = 1/(d-1) for uniform vectors orthogonal to theta*; d is small, so that a degree more or less is seen."""
    model, rng, n = SpikedModel(lam=1.0, kappa=0.6, c_w=0.5, dimension=5), np.random.default_rng(2), 20_000
    squares = np.array([(law.draw_geometry(model, rng).weak[1] / math.sqrt(1 - model.c_w**2)) ** 2 for _ in range(n)])
    assert abs(squares.mean() - 1 / 4) < 4 * squares.std() / math.sqrt(n)
    assert 4 * squares.std() / math.sqrt(n) < 0.01


def test_blocks_do_not_change_the_direct_gradient(monkeypatch):
    where = direct.draw_directions(SETTING, 2, np.random.default_rng(3))
    theta = direct.draw_start(where, 0.5, np.random.default_rng(4))
    setting = (theta, where.weak, where.spike, SETTING.lam)
    whole = direct.mean_gradient(*setting, 4000, softplus(1.0), np.random.default_rng(5))
    monkeypatch.setattr(direct, "BLOCK", 2 * 30 * 100)
    parts = direct.mean_gradient(*setting, 4000, softplus(1.0), np.random.default_rng(5))
    np.testing.assert_allclose(whole, parts, atol=0.05)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: FineTuning(eta=-1.0, steps=1), "eta"),
        (lambda: FineTuning(eta=0.1, steps=0), "steps"),
        (lambda: FineTuning(eta=0.1, steps=1, batch=0), "batch"),
        (lambda: FineTuning(eta=0.1, steps=1, mode="fast"), "mode"),
        (lambda: FineTuning(eta=0.1, steps=1, batch=5, mode="online"), "batch"),
        (lambda: FineTuning(eta=0.1, steps=1, labels="none"), "labels"),
        (lambda: reduced.orient_by_truth(np.array([1.0, 1.0, 0.0, 0.0])), "unit"),
        (lambda: law.warm_start(1.5, 10, np.random.default_rng(0)), "m0"),
        (lambda: law.spectral_start(1.5, WHERE, np.random.default_rng(0)), "overlap"),
        (lambda: flows.limit_flow(STATE, WHERE, he3(2.0), horizon=0.0, noise=0.1), "horizon"),
    ],
)
def test_bad_settings_are_named(call, named):
    with pytest.raises(ValueError, match=named):
        call()


def test_engines_do_not_import_torch():
    import subprocess

    code = "from w2sg.theory.experiments import agreement, bound, landscape, phase, region, run, runs, signs\n"
    code += "import sys, w2sg.theory.figures.tables; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
