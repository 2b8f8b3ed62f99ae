"""Watch a momentum choose itself: down a narrow valley long memory pays, at its noisy bottom short memory does.

With unit power the effective learning rate follows the momentum, so it anneals by itself, without a horizon.
"""

import os

import torch

from fallline import SGD, Greedy, UnitPower

STEPS = 40 if os.environ.get("FALLLINE_SMOKE") else 600

torch.manual_seed(0)
steepness = torch.logspace(-2.5, 0, 200)
x = torch.nn.Parameter(torch.randn(200))
chooser = Greedy(score="held-out", smoothing=0.9)
optimizer = SGD([x], lr=0.05, momentum=(0, 0.5, 0.9, 0.99), bank="full", selector=chooser, scale=UnitPower())

for step in range(STEPS):
    loss = (steepness * x.square()).sum() / 2
    optimizer.zero_grad()
    loss.backward()
    x.grad += 0.05 * torch.randn(200)
    optimizer.step()
    if step % (STEPS // 20) == 0:
        momentum, lr = optimizer.param_groups[0]["momentum"], optimizer.param_groups[0]["effective_lr"]
        print(f"step {step:4d}  loss {loss.item():8.4f}  momentum {momentum:.2f}  effective lr {lr:.3f}")
