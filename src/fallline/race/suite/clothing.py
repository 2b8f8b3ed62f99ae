"""Problems on Fashion-MNIST, for those who have its files (--data)."""

from dataclasses import replace
from pathlib import Path

from fallline.race import fashion
from fallline.race.classification import Split, load
from fallline.race.suite.image import classifier, resnet
from fallline.race.suite.training import Training


def digest(data: Path | None) -> str:
    """A fingerprint of the files."""
    return load(fashion.fashion, data).digest()


def mlp(seed: int, data: Path | None) -> Training:
    """Fashion-MNIST in two hidden layers, 256 and 128."""
    return classifier(load(fashion.fashion, data), fashion.mlp, 128, seed, 2000)


def residual(seed: int, data: Path | None) -> Training:
    """Fashion-MNIST in a small ResNet with batch norm."""
    return classifier(square(load(fashion.fashion, data)), resnet, 32, seed, 1000)


def square(split: Split) -> Split:
    """Rows of pixels as pictures of one channel."""
    shape = (-1, 1, *(int(split.inputs.shape[1] ** 0.5),) * 2)
    return replace(split, inputs=split.inputs.view(shape), valid_inputs=split.valid_inputs.view(shape))
