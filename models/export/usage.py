"""How to run exported files: the snippets of a model card, which a test executes."""

from __future__ import annotations

from collections.abc import Sequence

from models.checkpoint_notes import CheckpointNotes
from models.exit_policy import ExitPolicy


def usage(
    kind: str, shape: str, notes: CheckpointNotes, exits: Sequence[str], policy: ExitPolicy
) -> list[str]:
    """Lines of Markdown.

    Args:
        kind: `qcdq`, `qonnx` or `torch`.
        shape: Of an image, in words.
        notes: Give mean and deviation.
        exits: Names of the exits.
        policy: For the code that stops early.
    """
    mean, std = (", ".join(f"{value:.6f}" for value in values) for values in (notes.mean, notes.std))
    lines = [
        f"Input `image`: float32, n x {shape}, (pixel / 255 - mean) / std with mean ({mean}) and std ({std}). "
        f"Outputs: logits of {', '.join(f'`{name}`' for name in exits)}.",
        "",
        *_SNIPPETS[kind],
        "",
        "To stop early, run `segment_0` on the image, `head_0` on what it returns, apply the policy to the logits; "
        "images that stay go into `segment_1` as the features `segment_0` returned, and so on.",
    ]
    return [*lines, "", *_stopping(policy)] if kind == "qcdq" else lines


_SCORES = {
    "max_softmax": "p.max()",
    "entropy": "(p * np.log(np.maximum(p, 1e-300))).sum()",
    "margin": "np.sort(p)[-1] - np.sort(p)[-2]",
    "patience": "agreed",
}
"""Of one image with probabilities p: see `models.scores`."""


def _stopping(policy: ExitPolicy) -> list[str]:
    """A program that stops early, for one image."""
    assert policy.temperatures is not None
    thresholds = [repr(float(value)).replace("inf", "math.inf") for value in policy.thresholds]
    temperatures = [repr(float(value)) for value in policy.temperatures]
    return [
        "```python",
        "import math",
        "import numpy as np",
        "import onnxruntime as ort",
        "",
        "def load(name):",
        '    return ort.InferenceSession(name + ".onnx", providers=["CPUExecutionProvider"])',
        "",
        f"thresholds = [{', '.join(thresholds)}]",
        f"temperatures = [{', '.join(temperatures)}]",
        'segments = [load(f"segment_{k}") for k in range(len(thresholds))]',
        'heads = [load(f"head_{k}") for k in range(len(thresholds))]',
        "",
        "def classify(image):",
        '    """The class of one image (1, c, h, w), and the exit it takes."""',
        "    x, before, agreed = image, None, 0",
        "    for k, (segment, head) in enumerate(zip(segments, heads)):",
        "        (x,) = segment.run(None, {segment.get_inputs()[0].name: x})",
        '        (logits,) = head.run(None, {"features": x})',
        "        z = logits[0].astype(np.float64) / temperatures[k]",
        "        p = np.exp(z - z.max()) / np.exp(z - z.max()).sum()",
        "        agreed = agreed + 1 if p.argmax() == before else 0",
        "        before = p.argmax()",
        f"        if {_SCORES[policy.score]} >= thresholds[k]:",
        "            return int(before), k",
        "```",
    ]


_SNIPPETS: dict[str, list[str]] = {
    "qcdq": [
        "```python",
        "import onnxruntime as ort",
        "",
        'session = ort.InferenceSession("network.onnx", providers=["CPUExecutionProvider"])',
        'logits_of_exits = session.run(None, {"image": image})',
        "```",
        "",
        "Weights of fewer than 8 bits are stored as 8-bit integers; the Clip behind them gives their range.",
    ],
    "qonnx": [
        "```python",
        "from qonnx.core.modelwrapper import ModelWrapper",
        "from qonnx.core.onnx_exec import execute_onnx",
        "",
        'model = ModelWrapper("network.onnx")',
        'logits_of_exits = execute_onnx(model, {"image": image})  # by name; one image at a time',
        "```",
    ],
    "torch": [
        "```python",
        "import torch",
        "",
        'network = torch.export.load("network.pt2").module()',
        "logits_of_exits = network(image)",
        "```",
    ],
}
