"""How to run exported files: the snippets of a model card, which tests execute."""

from __future__ import annotations

from collections.abc import Sequence

from models.checkpoint_notes import CheckpointNotes
from models.exit_policy import ExitPolicy
from models.export.stopping import stopping_program


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
    return [
        f"Input `image`: float32, n x {shape}, (pixel / 255 - mean) / std with mean ({mean}) and std ({std}). "
        f"Outputs: logits of {', '.join(f'`{name}`' for name in exits)}.",
        "",
        *_SNIPPETS[kind],
        "",
        "To stop early, run `segment_0` on the image, `head_0` on what it returns, apply the policy to the logits; "
        "images that stay go into `segment_1` as the features `segment_0` returned, and so on. A score is rounded to "
        "float32 before it is compared, as the scores were that the thresholds were taken from:",
        "",
        "```python",
        *stopping_program(kind, policy),
        "```",
        *(["", *_SLOW] if kind == "qonnx" else []),
    ]


_SLOW = [
    "qonnx's executor runs a node at a time, up to a second an image: it checks a file. What is deployed is what a "
    "tool makes of the segments and heads, with the same policy between them.",
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
        "from qonnx.transformation.infer_shapes import InferShapes",
        "",
        'model = ModelWrapper("network.onnx").transform(InferShapes())',
        'logits_of_exits = execute_onnx(model, {"image": image})  # by name; one image at a time',
        "```",
    ],
    "torch": [
        "```python",
        "import torch",
        "",
        'network = torch.export.load("network.pt2").module()',
        "logits_of_exits = network(image)  # a tensor (n, channels, height, width)",
        "```",
    ],
}
