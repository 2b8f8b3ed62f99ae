"""Fashion-MNIST in an MLP, read from the four IDX files of the original distribution."""

import gzip
import zlib
from pathlib import Path

import torch
from torch import Tensor, nn

from fallline.race.classification import Classification, Split
from fallline.race.workload import Grid

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def locate(folder: Path) -> list[Path]:
    """The four files, each plain or with `.gz`."""
    found = {name: next((p for p in (folder / name, folder / f"{name}.gz") if p.is_file()), None) for name in FILES}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        raise FileNotFoundError(
            f"fashion needs four IDX files of Fashion-MNIST, plain or gzipped: {', '.join(FILES)} (.gz). Missing in "
            f"{folder.resolve()}: {', '.join(missing)}. They are in the folder data/fashion of Zalando Research's "
            f"project fashion-mnist on GitHub (zalandoresearch/fashion-mnist); put them in one folder and pass "
            f"--data FOLDER."
        )
    return [path for path in found.values() if path]


def idx(path: Path) -> Tensor:
    """An IDX file of bytes as a uint8 tensor: two zeros, type 8, rank, the big-endian sizes, the bytes."""
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(
            f"{path} cannot be read ({error}); it is cut short or no gzip file. Download it again."
        ) from None
    rank = raw[3] if len(raw) > 3 and raw[:3] == b"\0\0\x08" else 0
    shape = tuple(int.from_bytes(raw[4 + 4 * k : 8 + 4 * k], "big") for k in range(rank))
    body = torch.frombuffer(bytearray(raw[4 + 4 * rank :]), dtype=torch.uint8) if rank else torch.empty(0)
    if not rank or body.numel() != torch.Size(shape).numel():
        raise ValueError(
            f"{path} is not an IDX file of bytes, or is cut short: its header says shape {shape}, {body.numel()} "
            f"values follow. Download it again."
        )
    return body.view(shape)


def fashion(data: Path | None) -> Split:
    """Images as `[N, 784]` in [0, 1] and labels: the 60000 to train on, the 10000 to validate."""
    paths = locate(data or Path("data/fashion-mnist"))
    images, labels, valid_images, valid_labels = map(idx, paths)
    for k, (pictures, names) in enumerate(((images, labels), (valid_images, valid_labels))):
        if len(pictures) != len(names):
            raise ValueError(
                f"{paths[2 * k]} has {len(pictures)} images, but {paths[2 * k + 1]} has {len(names)} labels: they do "
                "not belong together. Download them again."
            )
    return Split(
        images.flatten(1).float().div(255),
        labels.long(),
        valid_images.flatten(1).float().div(255),
        valid_labels.long(),
        classes=10,
    )


def mlp(split: Split) -> nn.Module:
    """Two hidden layers, 256 and 128."""
    return nn.Sequential(
        nn.Linear(split.inputs.shape[1], 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, split.classes)
    )


FASHION = Classification(
    "fashion",
    "an MLP on Fashion-MNIST",
    fashion,
    mlp,
    batch=256,
    steps=1500,
    quick_steps=300,
    lrs=(
        ("adamw", Grid((3e-4, 1e-3, 3e-3, 1e-2), (1e-3, 3e-3, 1e-2), weight_decay=0.01)),
        ("sgd", Grid((0.01, 0.03, 0.1, 0.3), (0.03, 0.1, 0.3))),
    ),
)
