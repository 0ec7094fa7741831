"""Compiled inner loops of the reduced engine.

Everything a kernel calls lives in this file: the on-disk cache notices changes of the file that holds a
function, not of other files whose functions were compiled into it.
"""

from __future__ import annotations

import math

import numpy as np

from w2sg.runtime.compiled import compiled


@compiled
def activation(code, p0, p1, z):
    """Returns (sigma(z), sigma'(z)); codes and parameters as in ``activations``."""
    if code == 0:
        square = z * z
        return p0 * (square - 3.0 * p1) * z, 3.0 * p0 * (square - p1)
    if code == 2 or code == 4:
        t = math.tanh(z)
        if code == 2:
            return t - p0 * z, 1.0 - t * t - p0
        return t * t * t, 3.0 * t * t * (1.0 - t * t)
    small = math.exp(-p0 * abs(z))  # softplus without overflow
    value = max(z, 0.0) + math.log1p(small) / p0
    slope = 1.0 / (1.0 + small) if z >= 0 else small / (1.0 + small)
    if code == 1:
        return value, slope
    return (1.0 - p1) * (value - 0.5 * z), (1.0 - p1) * (slope - 0.5)


@compiled
def pair_parameters(t, teacher, spike, lam):
    """Returns (sqrt A, c/sqrt A, sqrt(B - c^2/A), q, <u,v>) of a state (4,) and a teacher (3,)."""
    q = t[0] * spike[0] + t[1] * spike[1] + t[2] * spike[2]
    uv = teacher[0] * spike[0] + teacher[1] * spike[1] + teacher[2] * spike[2]
    norm = t[0] * t[0] + t[1] * t[1] + t[2] * t[2] + t[3] * t[3]
    b = 1.0 + lam * uv * uv
    c = t[0] * teacher[0] + t[1] * teacher[1] + t[2] * teacher[2] + lam * q * uv
    root = math.sqrt(norm + lam * q * q)
    slope = c / root
    rest = b - slope * slope
    return root, slope, math.sqrt(rest) if rest > 1e-14 * b else 0.0, q, uv


@compiled
def move(t, total, squares, spare, step):
    """Advances a state in place by the summed gradient and projects it back to the sphere.

    Args:
        t: State (t1, t2, t3, r).
        total: Sum of h x in the four coordinates.
        squares: Sum of h^2.
        spare: chi^2 variable of the d-4 directions orthogonal to the four coordinates.
        step: Step length over the number of samples.
    """
    for k in range(3):
        t[k] -= step * total[k]
    along = t[3] - step * total[3]
    t[3] = math.sqrt(along * along + step * step * squares * spare)
    norm = math.sqrt(t[0] * t[0] + t[1] * t[1] + t[2] * t[2] + t[3] * t[3])
    for k in range(4):
        t[k] /= norm


@compiled
def batch_total(rng, t, teacher, spike, lam, code, p0, p1, batch, total):
    """Fills ``total`` with the sum of h x over a batch, exactly in law, and returns the sum of h^2.

    Two normals per sample give (a, b). Given all (a, b), sum h x is its regression on them plus one Gaussian
    vector of covariance (sum h^2) (Sigma - S C^-1 S^T): a draw of x minus that draw's own regression.
    """
    root, slope, rest, q, uv = pair_parameters(t, teacher, spike, lam)
    squares = on_x = on_y = 0.0
    for _ in range(batch):
        x = rng.standard_normal()
        y = rng.standard_normal()
        value, derivative = activation(code, p0, p1, root * x)
        label, _unused = activation(code, p0, p1, slope * x + rest * y)
        h = (value - label) * derivative
        squares += h * h
        on_x += h * x
        on_y += h * y
    draw = np.empty(4)
    along_spike = 0.0
    for k in range(4):
        draw[k] = rng.standard_normal()
        if k < 3:
            along_spike += draw[k] * spike[k]
    stretch = (math.sqrt(1.0 + lam) - 1.0) * along_spike
    own_x = own_y = 0.0
    for k in range(4):
        if k < 3:
            draw[k] += stretch * spike[k]
            own_y += teacher[k] * draw[k]
        own_x += t[k] * draw[k]
    own_x /= root
    own_y = (own_y - slope * own_x) / rest if rest > 0.0 else 0.0
    scale = math.sqrt(squares)
    for k in range(4):
        v = spike[k] if k < 3 else 0.0
        u = teacher[k] if k < 3 else 0.0
        toward_x = (t[k] + lam * q * v) / root
        toward_y = (u + lam * uv * v - slope * toward_x) / rest if rest > 0.0 else 0.0
        residual = draw[k] - toward_x * own_x - toward_y * own_y
        total[k] = toward_x * on_x + toward_y * on_y + scale * residual
    return squares


@compiled
def sample_total(rng, t, teacher, spike, lam, code, p0, p1, total):
    """Fills ``total`` with h x of one sample and returns h^2: four normals are cheaper than the regression."""
    for k in range(4):
        total[k] = rng.standard_normal()
    stretch = (math.sqrt(1.0 + lam) - 1.0) * (total[0] * spike[0] + total[1] * spike[1] + total[2] * spike[2])
    b = 0.0
    a = t[3] * total[3]
    for k in range(3):
        total[k] += stretch * spike[k]
        a += t[k] * total[k]
        b += teacher[k] * total[k]
    value, derivative = activation(code, p0, p1, a)
    label, _unused = activation(code, p0, p1, b)
    h = (value - label) * derivative
    for k in range(4):
        total[k] *= h
    return h * h


@compiled
def fine_tune(rng, state, teacher, spike, lam, code, p0, p1, step, batch, dimension, record, path):
    """Runs the algorithm from ``state`` and fills ``path`` (R, 4) at the increasing step numbers ``record`` (R,)."""
    t = state.copy()
    total = np.empty(4)
    free = float(dimension - 4)
    done = 0
    for k in range(len(record)):
        while done < record[k]:
            if batch == 1:
                squares = sample_total(rng, t, teacher, spike, lam, code, p0, p1, total)
            else:
                squares = batch_total(rng, t, teacher, spike, lam, code, p0, p1, batch, total)
            move(t, total, squares, rng.chisquare(free), step / batch)
            done += 1
        path[k] = t


@compiled
def sampled_sign_margin(rng, state, teacher, spike, lam, code, p0, p1, count):
    """Returns the empirical weak-label loss of -theta minus that of theta over ``count`` fresh samples."""
    root, slope, rest, _, _ = pair_parameters(state, teacher, spike, lam)
    margin = 0.0
    for _ in range(count):
        x = rng.standard_normal()
        label, _unused = activation(code, p0, p1, slope * x + rest * rng.standard_normal())
        plus, _unused = activation(code, p0, p1, root * x)
        minus, _unused = activation(code, p0, p1, -root * x)
        margin += 0.5 * ((minus - label) ** 2 - (plus - label) ** 2)
    return margin / count


@compiled
def limit_slope(t, teacher, spike, lam, scale, s2, noise, nodes, weights, change):
    """Fills ``change`` (3,) with the drift of the limit equation for he3, and returns its fastest rate.

    Closed-form gradient of ``closed_forms``; V = E[h^2] by Gauss-Hermite, exact from 6 nodes on.
    """
    root, slope, rest, q, uv = pair_parameters(t, teacher, spike, lam)
    a, b, c = root * root, slope * slope + rest * rest, slope * root
    x, y = a - s2, b - s2
    p = 2.0 * scale * scale * (9.0 * a * a + 4.5 * x * x + 9.0 * a * x - 9.0 * c * y)
    k = scale * scale * (-18.0 * c * c - 9.0 * x * y)
    variance = 0.0
    if noise > 0.0:
        for i in range(len(nodes)):
            value, derivative = activation(0, scale, s2, root * nodes[i])
            for j in range(len(nodes)):
                label, _unused = activation(0, scale, s2, slope * nodes[i] + rest * nodes[j])
                h = (value - label) * derivative
                variance += weights[i] * weights[j] * h * h
    radial = p * t[3] * t[3]
    for i in range(3):
        change[i] = p * (t[i] + lam * q * spike[i]) + k * (teacher[i] + lam * uv * spike[i])
        radial += change[i] * t[i]
    for i in range(3):
        change[i] = (radial - 0.5 * noise * variance) * t[i] - change[i]
    return abs(p) * (1.0 + lam) + 0.5 * noise * variance


@compiled
def close(state, change, length, moved):
    """Fills ``moved`` with state + length * change on the named coordinates, back on the sphere by its last one."""
    square = 1.0
    for i in range(3):
        moved[i] = state[i] + length * change[i]
        square -= moved[i] * moved[i]
    moved[3] = math.sqrt(square) if square > 0.0 else 0.0


@compiled
def limit_flow(start, teacher, spike, lam, scale, s2, noise, horizon, nodes, weights, path):
    """Integrates the limit equation for he3 and fills ``path`` (points + 1, 4): fourth-order Runge-Kutta."""
    state, trial = start.copy(), start.copy()
    slopes = np.empty((4, 3))
    points = len(path) - 1
    setting = (teacher, spike, lam, scale, s2, noise, nodes, weights)
    # Strong spikes make the start stiff; the rule is stable while step * rate stays below 2.7.
    rate = limit_slope(state, *setting, slopes[0])
    substeps = max(1, int(math.ceil(rate * horizon / points)))
    h = horizon / (points * substeps)
    path[0] = state
    for k in range(points):
        for _ in range(substeps):
            trial[:] = state
            for stage in range(4):
                limit_slope(trial, *setting, slopes[stage])
                length = h if stage == 2 else 0.5 * h
                if stage < 3:
                    close(state, slopes[stage], length, trial)
            total = (slopes[0] + 2.0 * slopes[1] + 2.0 * slopes[2] + slopes[3]) / 6.0
            close(state, total, h, state)
        path[k + 1] = state
