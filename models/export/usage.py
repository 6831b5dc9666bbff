"""How to run exported files: the snippets of a model card, which a test executes."""

from __future__ import annotations

from collections.abc import Sequence

from models.checkpoint_notes import CheckpointNotes


def usage(kind: str, shape: str, notes: CheckpointNotes, exits: Sequence[str]) -> list[str]:
    """Lines of Markdown.

    Args:
        kind: `qcdq`, `qonnx` or `torch`.
        shape: Of an image, in words.
        notes: Give mean and deviation.
        exits: Names of the exits.
    """
    mean, std = (", ".join(f"{value:.6f}" for value in values) for values in (notes.mean, notes.std))
    lines = [
        f"Input `image`: float32, n x {shape}, (pixel / 255 - mean) / std with mean ({mean}) and std ({std}). "
        f"Outputs: logits of {', '.join(f'`{name}`' for name in exits)}.",
        "",
        "To stop early, run `segment_0` on the image, `head_0` on what it returns, apply the policy to the logits; "
        "samples that stay go into `segment_1` as the features `segment_0` returned, and so on.",
        "",
    ]
    return [*lines, *_SNIPPETS[kind]]


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
