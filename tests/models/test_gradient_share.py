from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.gradient_share import with_gradient_share
from models.network import EarlyExitNetwork, all_mounts, initialize
from tests.models.small import SPEC


@given(st.floats(0.0, 1.0))
@settings(max_examples=30, deadline=None)
def test_values_pass_and_a_share_of_the_gradient_comes_back(share: float) -> None:
    x = torch.randn(3, 4, requires_grad=True)
    seen = with_gradient_share(x, share)
    assert torch.equal(seen, x)
    (seen**2).sum().add(x.sum()).backward()  # a second way, which keeps all of its gradient
    assert x.grad is not None
    torch.testing.assert_close(x.grad, share * 2 * x.detach() + 1)


def _gradients(share: float, early: float, final: float) -> dict[str, torch.Tensor]:
    """Of the parameters of a network whose early exits and final exit weigh so much."""
    torch.manual_seed(0)
    network = EarlyExitNetwork(SPEC, all_mounts(SPEC, ("fc",)), classes=5, image_size=16).double()
    initialize(network, torch.Generator().manual_seed(1))
    images = torch.randn(4, 1, 16, 16, generator=torch.Generator().manual_seed(2)).double()
    *exits, last = network(images, share)
    loss = early * sum(logits.logsumexp(1).sum() for logits in exits) + final * last.logsumexp(1).sum()
    loss.backward()
    zero = torch.zeros(())
    return {name: zero if p.grad is None else p.grad for name, p in network.named_parameters()}


def test_the_backbone_gets_a_share_of_the_early_exits_and_their_heads_all() -> None:
    share = 0.3
    shared, of_early, of_final = _gradients(share, 1, 1), _gradients(1, 1, 0), _gradients(1, 0, 1)
    final_head = f"heads.fc_{SPEC.n_blocks - 1}."
    for name, found in shared.items():
        early = 1.0 if name.startswith("heads.") and not name.startswith(final_head) else share
        torch.testing.assert_close(found, early * of_early[name] + of_final[name])
    assert any(gradient.abs().max() > 0 for gradient in of_early.values())


def test_with_none_of_it_the_backbone_learns_as_without_early_exits() -> None:
    cut, alone = _gradients(0, 1, 1), _gradients(1, 0, 1)
    for name, found in cut.items():
        if not name.startswith("heads."):
            assert torch.equal(found, alone[name]), name
