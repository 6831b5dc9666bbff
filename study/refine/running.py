"""The commands of a member's model card: they run the network that was measured, on the hardware it was costed on."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from models.checkpoint import Checkpoint
from models.open_checkpoint import image_channels, name_and_width
from study.genome import Genome

if TYPE_CHECKING:
    from study.setup import StudyContext

_NAMED_DATA = ("digits", "cifar10")


def how_to_run(context: StudyContext, genome: Genome, file: Path, found: Checkpoint) -> list[str]:
    """Lines of Markdown with a command and a program, both to be run in the current folder.

    Args:
        context: Of the study.
        genome: Of the member.
        file: Checkpoint of one of its seeds.
        found: What is in it.
    """
    return [
        "Run both in the folder that `study.refine` was run in. Of files that are not below it the name alone is "
        "written here: give their path in its place.",
        "",
        "```sh",
        shlex.join(_command(context, genome, file, found)),
        "```",
        "",
        "writes files for ONNX Runtime (`qonnx` and `torch` are the other formats), compares them with this network, "
        "and says in their own model card what they cost on these PE arrays and how to stop early. In Python, with "
        "images (n, c, h, w) of (pixel / 255 - mean) / std, mean and std as in `checkpoint.notes`:",
        "",
        "```python",
        *_program(context, file, found),
        "```",
    ]


def _command(context: StudyContext, genome: Genome, file: Path, found: Checkpoint) -> list[str]:
    config, chip = context.config, context.hardware.accelerator
    source = config.data.source
    arrays = (c[i].label for c, i in zip(chip.catalogues, genome.allocation, strict=True))
    words = ["python", "-m", "models.export", "--checkpoint", _place(file), "--format", "qcdq"]
    words += ["--data", source if source in _NAMED_DATA else _place(Path(source))]
    words += ["--split-seed", str(config.splits.seed)]
    if _is_factory(context):
        words += ["--backbone", config.backbone.name]
    if _width_is_needed(context, found):
        words += ["--width", repr(config.backbone.width)]
    accelerator = config.hardware.accelerator
    words += ["--accelerator", _place(Path(accelerator)) if accelerator.endswith(".toml") else accelerator]
    words += ["--allocation", ",".join(arrays), "--level", chip.levels[genome.level].name]
    return [*words, "--mapping", config.hardware.mapping]


def _program(context: StudyContext, file: Path, found: Checkpoint) -> list[str]:
    """Exits and thresholds were measured on the folded network: rounding moves a few images of the other one."""
    config = context.config
    name, arguments = config.backbone.name, [f"Path({_place(file)!r})"]
    imports = []
    if _width_is_needed(context, found):
        imports = ["from models.backbones.open import open_backbone"]
        shape = f"{image_channels(found)}, {found.keys.image_size}"
        arguments += [f"open_backbone({name!r}, {config.backbone.width!r}, {shape})"]
    elif _is_factory(context):
        arguments += [repr(name)]
    return [
        "from pathlib import Path",
        *imports,
        "from models.integer_network import deploy",
        "from models.open_checkpoint import open_checkpoint",
        "",
        f"network, checkpoint = open_checkpoint({', '.join(arguments)})",
        "deployed = deploy(network, images[:1])",
        "result = deployed.predict(images, checkpoint.policy)",
        "result.predicted, result.exits  # classes, indices of the exits taken",
    ]


def _is_factory(context: StudyContext) -> bool:
    return ":" in context.config.backbone.name


def _width_is_needed(context: StudyContext, found: Checkpoint) -> bool:
    """The name of a backbone has six digits of its width, and a factory may name its own as if it had one."""
    return name_and_width(found.keys.backbone)[1] != context.config.backbone.width


def _place(path: Path) -> str:
    """A path from the current folder; of what lies elsewhere the name alone: a card may be published."""
    resolved, here = path.resolve(), Path.cwd().resolve()
    return str(resolved.relative_to(here)) if resolved.is_relative_to(here) else path.name
