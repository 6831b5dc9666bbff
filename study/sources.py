"""What a study takes from files: its images and the float weights it starts from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hwcost.errors import OfframpError
from hwcost.networks import BackboneSpec
from models.backbones.staged import StagedBackbone
from models.data_path import find_data
from study.config import StudyConfig

if TYPE_CHECKING:
    from models.float_weights import FloatWeights


def check_sources(config: StudyConfig) -> None:
    """Refuses what can be refused before anything is read.

    Raises:
        OfframpError: The images are neither a known name nor something that exists, or nothing is to be pre-trained
            and no float weights are given.
    """
    source = config.data.source
    if source not in ("digits", "cifar10") and find_data(source) is None:
        raise OfframpError(
            f"expected --data digits, cifar10 or an existing folder or archive with train/<class>/ and "
            f"test/<class>/, got {source!r}"
        )
    if config.pretrain.epochs == 0 and config.backbone.weights is None:
        raise OfframpError(
            "expected --weights FILE.safetensors where pretrain.epochs is 0, got none; name the warm start to take "
            "as it is, or set pretrain.epochs to train one"
        )


def float_start(config: StudyConfig, spec: BackboneSpec | StagedBackbone) -> FloatWeights | None:
    """The user's float weights that the pre-training goes on from, where there are any."""
    from models.float_weights import load_float_weights

    weights = config.backbone.weights
    return None if weights is None else load_float_weights(Path(weights), spec)
