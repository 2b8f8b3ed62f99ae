"""scikit-learn's digits: 1797 images of 8 x 8 pixels, in an MLP and in a small convolutional net."""

from pathlib import Path

import torch
from torch import nn

from fallline.race.classification import Classification, Split
from fallline.race.workload import Grid

GRIDS = (
    ("adamw", Grid((1e-3, 3e-3, 1e-2, 3e-2, 0.1), (3e-3, 1e-2, 3e-2, 0.1), weight_decay=0.01)),
    ("sgd", Grid((3e-3, 1e-2, 3e-2, 0.1, 0.3), (1e-2, 3e-2, 0.1))),
)


def digits(data: Path | None) -> Split:
    """The images as `[N, 1, 8, 8]` in [0, 1]; a fixed shuffle, then 1297 to train on and 500 to validate."""
    from sklearn.datasets import load_digits

    table = load_digits()
    order = torch.randperm(len(table.target), generator=torch.Generator().manual_seed(0))
    images = torch.from_numpy(table.images).float().div(16).unsqueeze(1)[order]
    labels = torch.from_numpy(table.target).long()[order]
    return Split(images[:-500], labels[:-500], images[-500:], labels[-500:], 10)


def mlp(split: Split) -> nn.Module:
    """Two hidden layers of 64."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def cnn(split: Split) -> nn.Module:
    """Two convolutions, the second with stride 2, and a linear head."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(512, 10),
    )


MLP = Classification("digits-mlp", "an MLP on scikit-learn's digits", digits, mlp, 64, 600, 120, GRIDS)
CNN = Classification("digits-cnn", "a small CNN on scikit-learn's digits", digits, cnn, 64, 600, 80, GRIDS)
