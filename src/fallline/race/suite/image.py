"""Problems on scikit-learn's digits: six classifiers of different build, three hard ways to train one, a denoiser."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from fallline.race import digit
from fallline.race.classification import Split, cross_entropy
from fallline.race.suite.training import Training, seeded, settle

Make = Callable[[Split], nn.Module]
WRONG = 0.3  # share of wrong labels
HELD = 300  # images that validate a classifier
SPECKLE = 0.5  # standard deviation of the denoiser's noise; pixels lie in [0, 1]


@cache
def digits() -> Split:
    """1297 images to train on, 500 to validate."""
    return digit.digits(None)


def classifier(split: Split, make: Make, batch: int, seed: int, held: int = HELD) -> Training:
    """Cross-entropy on batches drawn with replacement; validated on what is held out."""

    def cost(model: nn.Module, source: Generator) -> Tensor:
        rows = torch.randint(len(split.inputs), (batch,), generator=source)
        return cross_entropy(model, split.inputs[rows], split.targets[rows])

    def measure(model: nn.Module) -> float:
        if any(True for _ in model.buffers()):
            settle(model, split.inputs[:128])
        return cross_entropy(model, split.valid_inputs[:held], split.valid_targets[:held]).item()

    with seeded(seed):
        model = make(split)
    return Training(model, cost, measure, seed)


class Residual(nn.Module):
    """Two convolutions with batch norm, added to what came in."""

    def __init__(self, width: int, out: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, out, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(),
            nn.Conv2d(out, out, 3, padding=1, bias=False),
            nn.BatchNorm2d(out),
        )
        self.short = nn.Conv2d(width, out, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """The stream after this block."""
        return F.relu(self.short(x) + self.body(x))


def resnet(split: Split, width: int = 8) -> nn.Module:
    """A stem, two residual blocks that halve the image, average pooling, a head."""
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        Residual(width, 2 * width, 2),
        Residual(2 * width, 4 * width, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4 * width, split.classes),
    )


class ViT(nn.Module):
    """Sixteen patches of 2 x 2 pixels as tokens of a small transformer; their mean is classified."""

    def __init__(self, classes: int, width: int = 32, depth: int = 2) -> None:
        super().__init__()
        self.patch = nn.Conv2d(1, width, 2, 2)
        self.place = nn.Parameter(torch.randn(16, width).mul(0.02))
        self.blocks = nn.Sequential(
            *(
                nn.TransformerEncoderLayer(width, 2, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True)
                for _ in range(depth)
            )
        )
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits `[B, classes]` of images `[B, 1, 8, 8]`."""
        tokens = self.patch(images).flatten(2).transpose(1, 2) + self.place
        return self.head(self.norm(self.blocks(tokens)).mean(1))


def mislabelled(split: Split) -> Split:
    """Three in ten training labels replaced by another one; the validation labels stay true."""
    source = torch.Generator().manual_seed(0)
    wrong = torch.rand(len(split.targets), generator=source) < WRONG
    shift = torch.randint(1, split.classes, split.targets.shape, generator=source)
    return replace(split, targets=torch.where(wrong, (split.targets + shift) % split.classes, split.targets))


def mlp(seed: int, data: Path | None) -> Training:
    """An MLP with two hidden layers of 64 on digits."""
    return classifier(digits(), digit.mlp, 64, seed)


def large_batch(seed: int, data: Path | None) -> Training:
    """The MLP on 1024 of 1297 digits at once."""
    return classifier(digits(), digit.mlp, 1024, seed)


def tiny_batch(seed: int, data: Path | None) -> Training:
    """The MLP on three digits at a time."""
    return classifier(digits(), digit.mlp, 3, seed)


def noisy_labels(seed: int, data: Path | None) -> Training:
    """The MLP where three in ten training labels are wrong, and none to validate."""
    return classifier(mislabelled(digits()), digit.mlp, 64, seed)


def cnn(seed: int, data: Path | None) -> Training:
    """Two convolutions and a linear head on digits."""
    return classifier(digits(), digit.cnn, 32, seed)


def residual(seed: int, data: Path | None) -> Training:
    """A small ResNet with batch norm on digits."""
    return classifier(digits(), resnet, 24, seed)


def vit(seed: int, data: Path | None) -> Training:
    """A small vision transformer on digits."""
    return classifier(digits(), lambda split: ViT(split.classes), 16, seed)


def denoiser(seed: int, data: Path | None) -> Training:
    """An autoencoder with a bottleneck of 12 that sees noisy digits and must give back the clean ones."""
    split = digits()
    seen, unseen = split.inputs.flatten(1), split.valid_inputs.flatten(1)
    speckled = unseen + SPECKLE * torch.randn(unseen.shape, generator=torch.Generator().manual_seed(0))

    def cost(model: nn.Module, source: Generator) -> Tensor:
        clean = seen[torch.randint(len(seen), (64,), generator=source)]
        return F.mse_loss(model(clean + SPECKLE * torch.randn(clean.shape, generator=source)), clean)

    with seeded(seed):
        down = nn.Sequential(nn.Linear(64, 96), nn.GELU(), nn.Linear(96, 12), nn.GELU())
        up = nn.Sequential(nn.Linear(12, 96), nn.GELU(), nn.Linear(96, 64))
    return Training(nn.Sequential(down, up), cost, lambda model: F.mse_loss(model(speckled), unseen).item(), seed)
