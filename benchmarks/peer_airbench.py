"""airbench94 with Muon in PyTorch, from its published facts: the peer that `fast` is measured by.

    python benchmarks/peer_airbench.py ARRAYS.npz [--epochs 8] [--seed 0] [--steps N]

Prints one JSON object: seconds of training, its peak memory, and, unless it was cut short after N
steps, test accuracy plain and averaged over six views. Needs ``torch`` (2.13 was measured), which
is no dependency of Tenfold.

Facts (Jordan, 2024, "94% on CIFAR-10 in 3.29 seconds on a single GPU", and its Muon variant): a 2x2
convolution with 24 frozen whitening filters and a bias trained for three epochs; three groups of
conv 3x3, max pool 2, batch norm, GELU, conv 3x3, batch norm, GELU, of 64, 256 and 256 channels;
max pool 3; a head scaled by 1/width. Label smoothing 0.2, batches of 2,000, 8 epochs; Muon (0.24,
momentum 0.6) on filters, SGD with Nesterov momentum 0.85 on the rest (biases 0.053, head 0.67,
decay 2e-6 times the batch), all falling linearly to zero; flips that alternate by epoch, reflected
shifts of up to 2 pixels; batch norm without scale, of momentum 0.6. In bfloat16, channels last,
where the processor computes it natively, else in float32.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody calls it

WIDTHS = (64, 256, 256)
BATCH, MUON, MOMENTUM, BIAS, HEAD, DECAY = 2000, 0.24, 0.6, 0.053, 0.67, 2e-6


class Network(torch.nn.Module):
    """The published network; `whiten` sets its first layer."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stem = torch.nn.Conv2d(3, 24, 2)
        self.stem.weight.requires_grad_(False)
        channels = [24, *(width for width in WIDTHS for _ in range(2))]
        self.convs = torch.nn.ModuleList(
            torch.nn.Conv2d(a, b, 3, padding=1, bias=False) for a, b in pairwise(channels)
        )
        self.norms = torch.nn.ModuleList(
            torch.nn.BatchNorm2d(width, eps=1e-12, momentum=0.4) for width in channels[1:]
        )
        for conv, norm in zip(self.convs, self.norms, strict=True):
            torch.nn.init.dirac_(conv.weight[: conv.in_channels].data)
            norm.weight.requires_grad_(False)
        self.head = torch.nn.Linear(WIDTHS[-1], classes, bias=False)
        self.stem.bias.data.zero_()
        self.head.weight.data.div_(self.head.weight.data.std())

    def whiten(self, pictures: torch.Tensor) -> None:
        """Eigenvectors of patches over their deviations, and their negatives."""
        patches = pictures.unfold(2, 2, 1).unfold(3, 2, 1).permute(0, 2, 3, 1, 4, 5)
        rows = patches.reshape(-1, 12).double()
        values, vectors = torch.linalg.eigh(rows.T @ rows / len(rows))
        filters = (vectors / torch.sqrt(values + 5e-4)).T.flip(0).reshape(12, 3, 2, 2)
        self.stem.weight.data.copy_(torch.cat([filters, -filters]))

    def forward(self, x: torch.Tensor, whiten_bias: bool = True) -> torch.Tensor:
        """Logits of normalized pictures."""
        bias = self.stem.bias if whiten_bias else self.stem.bias.detach()
        x = F.gelu(F.conv2d(x, self.stem.weight, bias))
        for place, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = conv(x)
            if place % 2 == 0:
                x = F.max_pool2d(x, 2)
            x = F.gelu(norm(x))
        return self.head(F.max_pool2d(x, 3).flatten(1)) / WIDTHS[-1]


def orthogonalized(matrix: torch.Tensor) -> torch.Tensor:
    """Three iterations of Newton and Schulz."""
    x = matrix / (matrix.norm() + 1e-7)
    if turned := x.size(0) > x.size(1):
        x = x.T
    for _ in range(3):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x.T if turned else x


class Muon(torch.optim.Optimizer):
    """Orthogonal updates of filters that are kept at one norm."""

    def __init__(self, parameters: Any) -> None:
        super().__init__(parameters, {"lr": MUON})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        """One step."""
        for group in self.param_groups:
            for weight in group["params"]:
                state = self.state[weight]
                momentum = state.setdefault("momentum", torch.zeros_like(weight.grad))
                momentum.mul_(MOMENTUM).add_(weight.grad)
                update = weight.grad.add(momentum, alpha=MOMENTUM)
                weight.mul_(len(weight) ** 0.5 / weight.norm())
                step = orthogonalized(update.reshape(len(update), -1)).view_as(update)
                weight.add_(step, alpha=-group["lr"])


def batches(pictures: torch.Tensor, epoch: int, flips: torch.Tensor) -> Any:
    """The epoch's batches of pictures and their places: shifted, mirrored, shuffled."""
    padded = F.pad(pictures, (2, 2, 2, 2), mode="reflect")
    order = torch.randperm(len(pictures))
    places = torch.arange(32)
    for start in range(0, len(order) - BATCH + 1, BATCH):
        chosen = order[start : start + BATCH]
        down, right = torch.randint(0, 5, (2, len(chosen), 1))
        columns = right + places
        mirrored = flips[chosen] ^ (epoch % 2 == 1)
        columns = torch.where(mirrored[:, None], columns.flip(1), columns)
        rows = down + places
        taken = padded[chosen[:, None, None], :, rows[:, :, None], columns[:, None, :]]
        yield taken.permute(0, 3, 1, 2), chosen


@torch.no_grad()
def accuracy(network: Network, pictures: torch.Tensor, labels: torch.Tensor, views: bool) -> float:
    """Of plain pictures, or of the mean over six views."""
    network.eval()
    right = 0
    for start in range(0, len(pictures), 500):
        x, y = pictures[start : start + 500], labels[start : start + 500]
        logits = network(x).float()
        if views:
            padded = F.pad(x, (1, 1, 1, 1), mode="reflect")
            shifted = [padded[:, :, at : at + 32, at : at + 32] for at in (0, 2)]
            logits = (logits + network(x.flip(3)).float()) / 4
            for view in shifted:
                view = view.contiguous(memory_format=torch.channels_last)
                logits += (network(view).float() + network(view.flip(3)).float()) / 8
        right += int((logits.argmax(1) == y).sum())
    network.train()
    return right / len(labels)


def train(arrays: Any, epochs: int, seed: int, steps: int | None) -> dict[str, Any]:
    """Train, test, and say how it went."""
    torch.manual_seed(seed)
    native = "avx512_bf16" in cpu_flags() or "amx_bf16" in cpu_flags()
    dtype = torch.bfloat16 if native else torch.float32
    pixels = torch.from_numpy(arrays["train_images"]).permute(0, 3, 1, 2).float()
    mean, deviation = pixels.mean((0, 2, 3), keepdim=True), pixels.std((0, 2, 3), keepdim=True)

    def normalized(images: torch.Tensor) -> torch.Tensor:
        return ((images - mean) / deviation).to(dtype).contiguous(memory_format=torch.channels_last)

    labels = torch.from_numpy(arrays["train_labels"].astype(np.int64))
    network = Network(int(labels.max()) + 1)
    pictures = normalized(pixels)
    del pixels
    began = time.perf_counter()
    network.whiten(pictures[:5000].float())
    network = network.to(dtype).to(memory_format=torch.channels_last)
    rest = [
        {"params": [network.stem.bias], "lr": BIAS, "weight_decay": DECAY * BATCH / BIAS},
        {
            "params": [norm.bias for norm in network.norms],
            "lr": BIAS,
            "weight_decay": DECAY * BATCH / BIAS,
        },
        {"params": [network.head.weight], "lr": HEAD, "weight_decay": DECAY * BATCH / HEAD},
    ]
    sgd = torch.optim.SGD(rest, momentum=0.85, nesterov=True)
    muon = Muon([conv.weight for conv in network.convs])
    for group in (*sgd.param_groups, *muon.param_groups):
        group["full"] = group["lr"]
    flips = torch.rand(len(pictures)) < 0.5
    an_epoch = len(pictures) // BATCH
    step, whole = 0, an_epoch * epochs
    taken: list[float] = []
    for epoch in range(epochs):
        for x, chosen in batches(pictures, epoch, flips):
            start = time.perf_counter()
            x = x.contiguous(memory_format=torch.channels_last)
            logits = network(x, whiten_bias=step < 3 * an_epoch).float()
            loss = F.cross_entropy(logits, labels[chosen], label_smoothing=0.2, reduction="sum")
            sgd.zero_grad(set_to_none=True)
            muon.zero_grad(set_to_none=True)
            loss.backward()
            for place, group in enumerate((*sgd.param_groups, *muon.param_groups)):
                length = 3 * an_epoch if place == 0 else whole
                group["lr"] = group["full"] * max(0.0, 1 - step / length)
            sgd.step()
            muon.step()
            step += 1
            taken.append(time.perf_counter() - start)
            if step == steps:
                break
        if step == steps:
            break
    seconds = time.perf_counter() - began
    found = {
        "seconds": seconds,
        "seconds_a_step": float(np.median(taken)),
        "steps": step,
        "steps_of_all": whole,
        "precision": str(dtype).removeprefix("torch."),
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "torch": torch.__version__,
    }
    if step < whole:  # of a training that was cut short, accuracy says nothing
        return found
    tested = normalized(torch.from_numpy(arrays["test_images"]).permute(0, 3, 1, 2).float())
    truth = torch.from_numpy(arrays["test_labels"].astype(np.int64))
    for name, views in (("accuracy", False), ("averaged_accuracy", True)):
        found[name] = accuracy(network, tested, truth, views)
    return found


def cpu_flags() -> set[str]:
    """What the processor can do, where Linux says so."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
            return set(next(line for line in lines if line.startswith("flags")).split())
    except (OSError, StopIteration):
        return set()


def main() -> None:
    """Train once and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("arrays", help="an .npz with train_images, train_labels and test_*")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="stop after so many: for timing")
    arguments = parser.parse_args()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    with np.load(arguments.arrays) as arrays:
        print(json.dumps(train(arrays, arguments.epochs, arguments.seed, arguments.steps)))


if __name__ == "__main__":
    main()
