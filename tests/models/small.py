"""A backbone of three blocks and a few real digits: everything trains in seconds."""

import functools
import tempfile
from pathlib import Path

from hwcost.networks import BackboneSpec, BlockSpec
from models.architecture import Architecture
from models.augment_spec import AugmentSpec
from models.data import load_dataset
from models.recipe import PretrainRecipe, QatRecipe
from models.splits import SplitSpec
from models.training_data import TrainingData, prepare
from models.warm_start import WarmStart, pretrain

SPEC = BackboneSpec(
    name="tiny",
    in_channels=1,
    stem_channels=8,
    blocks=(BlockSpec(8, 1, 8, 3, 2), BlockSpec(8, 2, 8, 3, 1), BlockSpec(8, 2, 16, 5, 2)),
    mounting_points=(0, 1),
)
HEADS = ("fc", "fc_hidden", "gap")
PRETRAIN = PretrainRecipe(epochs=6, batch_size=64, learning_rate=0.1, ema_decay=0.9, threads=1)
QAT = QatRecipe(epochs=1.0, batch_size=64, learning_rate=0.02, norm_batches=4, threads=1)
MIXED = Architecture((0, 1), ("fc_hidden", "gap", "fc"), (8, 4, 3), (8, 6, 4), 6, 4)


@functools.cache
def digits() -> TrainingData:
    with tempfile.TemporaryDirectory() as folder:
        image_set = load_dataset("digits", 16, Path(folder))
    return prepare(
        image_set, SplitSpec(calibration=200, validation=200), AugmentSpec(flip=False, crop_padding=1)
    )


@functools.cache
def warm_start() -> WarmStart:
    with tempfile.TemporaryDirectory() as folder:
        return pretrain(SPEC, HEADS, digits(), PRETRAIN, Path(folder), seed=0)
