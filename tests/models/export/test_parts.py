import torch

from models.export.parts import exit_names, network_parts
from tests.models.export.small_export import folded, folded_logits, images


def test_the_parts_make_the_whole() -> None:
    expected = torch.from_numpy(folded_logits(images()))
    whole, *pieces = network_parts(folded())
    assert whole.output_names == exit_names(folded()) == ("exit0", "exit1", "final")
    x = torch.from_numpy(images())
    with torch.no_grad():
        torch.testing.assert_close(torch.stack(whole.module(x), dim=1), expected)
        for k in range(3):
            segment, head = pieces[2 * k], pieces[2 * k + 1]
            assert (segment.name, head.name) == (f"segment_{k}", f"head_{k}")
            assert tuple(x.shape[1:]) == segment.input_shape
            x = segment.module(x)
            assert tuple(x.shape[1:]) == head.input_shape
            torch.testing.assert_close(head.module(x), expected[:, k])


def test_no_block_is_in_two_segments() -> None:
    _, *pieces = network_parts(folded())
    seen = [id(module) for piece in pieces[::2] for module in piece.module.children()]
    blocks = [id(m) for piece in pieces[::2] for child in piece.module.children() for m in child.children()]
    assert len(seen) == 3
    assert len(set(blocks)) == len(blocks) == 1 + len(folded().blocks)  # the stem and every block
