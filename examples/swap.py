"""Replace AdamW in a loop you already have: two changed lines, everything else stays.

- from torch.optim import AdamW
+ from fallline import AdamW
- optimizer = AdamW(model.parameters(), lr=1e-3)
+ optimizer = AdamW(model.parameters(), lr=1e-3, betas=("auto", 0.999))
"""

import os

import torch
from torch.optim.lr_scheduler import CosineAnnealingLR

from fallline import AdamW

STEPS = 20 if os.environ.get("FALLLINE_SMOKE") else 500

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(2, 64), torch.nn.Tanh(), torch.nn.Linear(64, 1))
optimizer = AdamW(model.parameters(), lr=1e-2, betas=("auto", 0.999))
scheduler = CosineAnnealingLR(optimizer, T_max=STEPS)

for _ in range(STEPS):
    x = torch.randn(64, 2)
    loss = (model(x)[:, 0] - (x[:, 0] * x[:, 1]).sin()).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()

told = optimizer.report()["groups"][0]
print(optimizer.report()["rule"])
print(f"loss {loss.item():.4f}; chosen {dict(zip(told['candidates'], told['chosen'], strict=True))} times")
