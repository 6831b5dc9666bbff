"""What a comparison found, in words: for the terminal and the model card."""

from models.export.agreement import Agreement, ChainAgreement


def agreement_lines(
    kind: str,
    agreement: Agreement,
    folding: Agreement,
    chain: ChainAgreement,
    baseline: Agreement,
    executor: Agreement | None,
) -> list[str]:
    """Lines of a Markdown list; arguments as in `models.export.export.ExportReport`."""
    runtime = {
        "torch": "torch.export",
        "qcdq": "ONNX Runtime",
        "qonnx": "ONNX Runtime, converted by qonnx",
    }[kind]
    lines = [
        f"- the files in {runtime} and the folded network in PyTorch: {_in_words(agreement)}",
        f"- the folded network and the trained one, both in PyTorch: {_in_words(folding)}",
        f"- the trained network in PyTorch, float32 and float64: {_in_words(baseline)}. These differences and the "
        "ones before are rounding that carries a value over the border between two levels of a quantizer",
        f"- separate segments and heads, stopped by the policy: {100 * chain.same_exit:.2f} % of {chain.images} "
        f"images take the same exit; the segments received {', '.join(map(str, chain.samples))} of them",
    ]
    if executor is not None:
        lines.append(f"- qonnx's own executor and the folded network in PyTorch: {_in_words(executor)}")
    return lines


def _in_words(found: Agreement) -> str:
    equal = found.largest_logit_difference == 0
    logits = (
        "all logits are equal bit by bit"
        if equal
        else f"largest difference of logits {found.largest_logit_difference:.2g} (they span "
        f"{found.logit_spread:.3g}), below 1e-4 for {100 * found.close_images:.1f} % of the images"
    )
    return (
        f"{100 * found.same_exit:.2f} % of {found.images} images take the same exit, "
        f"{100 * found.same_class:.2f} % get the same class; {logits}"
    )
