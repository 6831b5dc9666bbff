"""Programs that run exported segments and heads and stop early: they need the files, NumPy and the runtime alone."""

from __future__ import annotations

from models.exit_policy import ExitPolicy

_SCORES = {
    "max_softmax": "p.max()",
    "entropy": "min((p * logs).sum(), 0.0)",
    "margin": "np.sort(p)[-1] - np.sort(p)[-2]",
    "patience": "agreed",
}
"""Of one image with probabilities p and their logarithms: see `models.scores`."""


def stopping_program(kind: str, policy: ExitPolicy) -> list[str]:
    """Lines of Python that define `classify(image)`: the class of one image, and the exit it takes.

    Args:
        kind: `qcdq`, `qonnx` or `torch`.
        policy: Its thresholds, score and temperatures are written into the program.
    """
    assert policy.temperatures is not None
    thresholds = [repr(float(value)).replace("inf", "math.inf") for value in policy.thresholds]
    temperatures = [repr(float(value)) for value in policy.temperatures]
    return [
        "import math",
        "import numpy as np",
        *_LOADERS[kind],
        "",
        f"thresholds = [{', '.join(thresholds)}]",
        f"temperatures = [{', '.join(temperatures)}]",
        'segments = [load(f"segment_{k}") for k in range(len(thresholds))]',
        'heads = [load(f"head_{k}") for k in range(len(thresholds))]',
        "",
        "def classify(image):",
        '    """The class of one image, an array (1, channels, height, width), and the exit it takes."""',
        "    x, before, agreed = image, None, 0",
        "    for k, (segment, head) in enumerate(zip(segments, heads)):",
        "        x = segment(x)",
        "        logits = head(x)[0]",
        "        z = logits.astype(np.float64) / temperatures[k]",
        "        z -= z.max()",
        "        logs = z - np.log(np.exp(z).sum())",
        "        p = np.exp(logs)",
        "        predicted = int(logits.argmax())",
        "        agreed = agreed + 1 if predicted == before else 0",
        "        before = predicted",
        f"        if float(np.float32({_SCORES[policy.score]})) >= thresholds[k]:",
        "            return predicted, k",
    ]


_LOADERS = {
    "qcdq": [
        "import onnxruntime as ort",
        "",
        "def load(name):",
        '    session = ort.InferenceSession(name + ".onnx", providers=["CPUExecutionProvider"])',
        "    (given,) = session.get_inputs()",
        "    return lambda x: session.run(None, {given.name: x})[0]",
    ],
    "qonnx": [
        "from qonnx.core.modelwrapper import ModelWrapper",
        "from qonnx.core.onnx_exec import execute_onnx",
        "from qonnx.transformation.infer_shapes import InferShapes",
        "",
        "def load(name):",
        '    model = ModelWrapper(name + ".onnx").transform(InferShapes())',
        "    (given,), (made,) = model.graph.input, model.graph.output",
        "    return lambda x: execute_onnx(model, {given.name: x})[made.name]",
    ],
    "torch": [
        "import torch",
        "",
        "def load(name):",
        '    part = torch.export.load(name + ".pt2").module()',
        "    return lambda x: part(torch.from_numpy(x)).detach().numpy()",
    ],
}
"""Per format a function from a file's name to one from array to array."""
