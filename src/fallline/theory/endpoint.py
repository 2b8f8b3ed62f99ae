"""Where a linear optimizer comes to rest on least squares.

A linear optimizer multiplies gradients by matrices: u_n = sum_k Q_k g_{n-k}. When there are more parameters than data
many points fit exactly, and the optimizer's matrices, not its memory, say which one is found. Wording of the paper's
statements on end points (Prop. 7, Lemma 8, Thm. 9) not public; everything here is our derivation.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class LeastSquares:
    """A linear model, or a network in its tangent plane.

        L(theta) = 1/2 |J theta - y|^2,     g = J^T (J theta - y)

    J [N, P] has a row per datum and a column per parameter, y [N]. For a network J is the Jacobian at the start, and
    what is said here holds as long as J stays what it was.

    >>> one = LeastSquares(torch.tensor([[1.0, 1.0]]).double(), torch.tensor([2.0]).double())
    >>> one.gradient(torch.zeros(2).double())
    tensor([-2., -2.], dtype=torch.float64)
    """

    J: Tensor
    y: Tensor

    def __post_init__(self) -> None:
        if self.J.ndim != 2 or self.y.shape != self.J.shape[:1]:
            raise ValueError(f"J is [N, P] and y [N]; these are {list(self.J.shape)} and {list(self.y.shape)}")

    def loss(self, theta: Tensor) -> Tensor:
        """L at theta."""
        return (self.J @ theta - self.y).square().sum() / 2

    def gradient(self, theta: Tensor, batch: Tensor | slice = slice(None)) -> Tensor:
        """g at theta, of all data or of some rows."""
        J = self.J[batch]
        return J.mT @ (J @ theta - self.y[batch])


def kernel(J: Tensor, Q: Tensor, other: Tensor | None = None) -> Tensor:
    """The kernel of a linear optimizer: how much a step for one datum moves the prediction for another.

        K = J Q J^T,     k(x, x') = j(x) Q j(x')^T

    J [N, P], Q [P, P], other [M, P] (J if left out) -> [N, M]. Q = I gives the tangent kernel of plain descent.
    The paper's name is the optimizer-augmented kernel.

    >>> kernel(torch.eye(2), torch.diag(torch.tensor([1.0, 4.0])))
    tensor([[1., 0.],
            [0., 4.]])
    """
    return J @ Q @ (J if other is None else other).mT


def end(problem: LeastSquares, Q: Tensor, start: Tensor) -> Tensor:
    """Where a stable filter whose taps add up to Q comes to rest.

        theta_oo = theta_0 + Q J^T K^+ (y - J theta_0),     K = J Q J^T,     Q = sum_k Q_k

    Summed over all steps, theta_oo - theta_0 = -eta (sum_k Q_k)(sum_n g_n), and every g_n is J^T times something: the
    rest follows from g_oo Q = 0. So momentum, its warm-up and mini-batches of data that can be fitted change the way
    and not the end. Q [P, P] symmetric positive semidefinite, start [P] -> [P]. Our derivation.

    >>> one = LeastSquares(torch.tensor([[1.0, 1.0]]).double(), torch.tensor([2.0]).double())
    >>> end(one, torch.diag(torch.tensor([1.0, 3.0])).double(), torch.zeros(2).double())
    tensor([0.5000, 1.5000], dtype=torch.float64)
    """
    residual = problem.y - problem.J @ start
    K = kernel(problem.J, Q)
    return start + Q @ problem.J.mT @ torch.linalg.pinv(K, hermitian=True) @ residual


def complexity(problem: LeastSquares, Q: Tensor, start: Tensor) -> Tensor:
    """Squared norm of the change of the function, in the space of functions that the kernel spans.

        |f_oo - f_0|_K^2 = r^T K^+ r = |theta_oo - theta_0|^2 in the norm of Q^-1,     r = y - f_0

    Among all functions of that space that fit the data the end point's has the smallest: the minimum-norm solution.

    >>> one = LeastSquares(torch.tensor([[1.0, 1.0]]).double(), torch.tensor([2.0]).double())
    >>> complexity(one, torch.diag(torch.tensor([1.0, 3.0])).double(), torch.zeros(2).double())
    tensor(1., dtype=torch.float64)
    """
    residual = problem.y - problem.J @ start
    return residual @ torch.linalg.pinv(kernel(problem.J, Q), hermitian=True) @ residual


def decayed(problem: LeastSquares, Q: Tensor, decay: float) -> Tensor:
    """Where decoupled weight decay leads: kernel ridge regression with the optimizer's own kernel.

        theta <- theta - eta (Q g + decay theta),     theta_oo = Q J^T (K + decay I)^-1 y

    It forgets its start. Decay that is added to the gradient instead ends, for every Q of full rank, in plain ridge
    regression, which is this with Q = I. Our derivation.

    >>> one = LeastSquares(torch.tensor([[1.0, 1.0]]).double(), torch.tensor([2.0]).double())
    >>> decayed(one, torch.diag(torch.tensor([1.0, 3.0])).double(), 4.0)
    tensor([0.2500, 0.7500], dtype=torch.float64)
    """
    K = kernel(problem.J, Q)
    return Q @ problem.J.mT @ torch.linalg.solve(K + decay * torch.eye(len(K), dtype=K.dtype), problem.y)


def commutator(problem: LeastSquares, Q: Tensor) -> Tensor:
    """How far Q is from keeping to the directions that the data span: 0 if it commutes with the curvature.

        |Q H - H Q|_F / (|Q|_F |H|_F),     H = J^T J

    If every matrix of an optimizer commutes with H, it may change them at will, step by step: all stay in
    theta_0 + range(J^T), and the end is that of Q = I. If not, the order of its matrices can decide the end.
    The paper's "commuting optimizers" are not public in wording; this condition is ours.

    >>> one = LeastSquares(torch.tensor([[1.0, 0.0]]).double(), torch.tensor([2.0]).double())
    >>> commutator(one, torch.diag(torch.tensor([1.0, 3.0])).double())
    tensor(0., dtype=torch.float64)
    """
    H = problem.J.mT @ problem.J
    return torch.linalg.norm(Q @ H - H @ Q) / (torch.linalg.norm(Q) * torch.linalg.norm(H))


def filtered(problem: LeastSquares, taps: Tensor, start: Tensor, eta: float, steps: int) -> Tensor:
    """The simulation that `end` is tested against: theta <- theta - eta sum_k Q_k g_{n-k}; taps [L, P, P].

    >>> one = LeastSquares(torch.tensor([[1.0, 1.0]]).double(), torch.tensor([2.0]).double())
    >>> filtered(one, torch.diag(torch.tensor([0.5, 1.5])).double().repeat(2, 1, 1), torch.zeros(2).double(), 0.2, 99)
    tensor([0.5000, 1.5000], dtype=torch.float64)
    """
    theta, past = start, torch.zeros(len(taps), len(start), dtype=start.dtype)
    for _ in range(steps):
        past = torch.cat([problem.gradient(theta)[None], past[:-1]])
        theta = theta - eta * torch.einsum("kij,kj->i", taps, past)
    return theta


def switched(problem: LeastSquares, path: Iterable[Tensor], start: Tensor, eta: float) -> Tensor:
    """An optimizer whose matrix changes: theta <- theta - eta Q_n g_n along a path of Q_n [P, P].

    >>> one = LeastSquares(torch.tensor([[1.0, 1.0]]).double(), torch.tensor([2.0]).double())
    >>> first, second = torch.diag(torch.tensor([1.0, 0.0])).double(), torch.diag(torch.tensor([0.0, 1.0])).double()
    >>> switched(one, [first, second, second], torch.zeros(2).double(), 0.5)
    tensor([1.0000, 0.7500], dtype=torch.float64)
    """
    theta = start
    for Q in path:
        theta = theta - eta * Q @ problem.gradient(theta)
    return theta
