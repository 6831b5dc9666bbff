"""The configuration of a study, checked as a whole before anything runs.

Every field has a unit in its name or its comment. Sections are immutable pydantic models that refuse unknown
keys, so a misspelt option is an error and not a silent default. Nothing here imports torch: `--help` and
`--dry-run` must answer at once.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from hwcost.errors import OfframpError
from models.architecture import ALLOWED_BITS, HEAD_KINDS
from models.augment_spec import AugmentSpec
from models.recipe import PretrainRecipe, QatRecipe
from models.scores import ScoreName
from models.splits import SplitSpec
from study.metrics import METRIC_NAMES, metric_named
from study.units import parse_quantity

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
PositiveFloat = Annotated[float, Field(gt=0.0)]
SamplerName = Literal["nsga2", "nsga2-optuna", "nsga3", "tpe", "random", "gp"]


def _head_kinds(kinds: tuple[str, ...], least: int = 0) -> tuple[str, ...]:
    if not set(kinds) <= set(HEAD_KINDS) or len(set(kinds)) != len(kinds) or len(kinds) < least:
        raise ValueError(f"expected distinct head kinds out of {', '.join(HEAD_KINDS)}, got {list(kinds)}")
    return kinds


def _ascending_fractions(values: tuple[float, ...], least: int = 0) -> tuple[float, ...]:
    if len(values) < least or any(not 0 <= v <= 1 for v in values) or list(values) != sorted(set(values)):
        raise ValueError(f"expected ascending fractions between 0 and 1, got {list(values)}")
    return values


class Section(BaseModel):
    """Base of all sections: frozen, unknown keys refused, defaults checked too."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class SearchConfig(Section):
    """How designs are proposed and what is spent on them."""

    trials: int = Field(default=24, ge=1)  # finished proposals over all resumes
    workers: int = Field(default=2, ge=1)  # processes on this machine
    seed: int = Field(default=0, ge=0, le=2**63 - 1)  # what PyTorch's generators take
    objectives: tuple[str, ...] = ("error", "mean_latency", "mean_energy")  # of study.metrics; all minimised
    sampler: SamplerName = "nsga2"  # who proposes designs; see study.samplers
    # Steps of the ladder that every sampler has; each can be switched off to know what it is worth.
    hardware_first: bool = True  # a design that breaks a constraint is not trained
    memo: bool = True  # a network that was trained is not trained again
    derive: bool = True  # other allocations and policy targets of a trained network become designs too
    # networks with fewer exits that become designs of a trained one, at most, where they add something; needs derive
    leave_out: int = Field(default=8, ge=0, le=1024)
    # The static reference that is trained without exits starts from a float pre-training without exits; False: from
    # that of the study, which saves most of a pre-training.
    pretrain_alone: bool = True
    # Kinds of heads pre-trained beside those of the space: so studies of several spaces share a pre-training.
    pretrain_heads: tuple[str, ...] = ()
    # What only the sampler nsga2 has.
    start_designs: bool = True  # the first designs are chosen, not drawn
    redraws: int = Field(
        default=64, ge=0
    )  # a child seen before, or infeasible, is drawn again at most this often
    predictor: bool = True  # of many children the one is proposed that promises most
    # what promises most is looked at again with what its exits cost; needs the predictor
    exit_costs: bool = True
    # designs that follow from each trained network, at most, which the predictor learns from too; needs derive
    learn_derived: int = Field(default=8, ge=0, le=1024)
    skip: bool = True  # a child that is surely dominated gives way and counts; needs the predictor
    skip_confidence: float = Field(
        default=0.95, ge=0.5, le=1.0
    )  # a child that is dominated with this probability is skipped
    train_skipped: float = Field(
        default=0.1, ge=0.1, le=1.0
    )  # share of skipped children trained all the same, to know how often skipping is right
    # trainings of a trial as multiples of qat.epochs: a network with a design that nothing dominates gets the next
    rungs: tuple[PositiveFloat, ...] = (1.0,)
    max_failures: int = Field(default=5, ge=1)  # failed trials in a row after which the study stops

    @field_validator("rungs")
    @classmethod
    def _ascending_rungs(cls, rungs: tuple[float, ...]) -> tuple[float, ...]:
        if not rungs or rungs[0] != 1 or list(rungs) != sorted(set(rungs)) or not math.isfinite(rungs[-1]):
            raise ValueError(
                f"expected ascending multiples of qat.epochs that begin with 1, got {list(rungs)}"
            )
        return rungs

    @field_validator("pretrain_heads")
    @classmethod
    def _known_heads(cls, kinds: tuple[str, ...]) -> tuple[str, ...]:
        return _head_kinds(kinds)

    @field_validator("objectives")
    @classmethod
    def _known_objectives(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if not names or len(set(names)) != len(names) or any(name not in METRIC_NAMES for name in names):
            raise ValueError(
                f"expected distinct objectives out of {', '.join(METRIC_NAMES)}, got {list(names)}"
            )
        return names


class DataConfig(Section):
    """Which images, at which size."""

    # digits, cifar10, or a folder or archive with train/ and test/
    source: str = Field(default="digits", min_length=1)
    # pixels, square; paper-like heads pool to 4x4 after two halvings
    image_size: int = Field(default=32, ge=16, le=512)


class BackboneConfig(Section):
    """The fixed part of the network."""

    name: str = "paper"  # a known backbone, or a factory of one's own as package.module:function
    width: float = Field(default=1.0, gt=0.0, le=8.0)  # factor on the channel counts
    # float weights of one's own (safetensors) that the pre-training starts from; None: drawn
    weights: str | None = Field(default=None, min_length=1)


class SpaceConfig(Section):
    """What the search may choose from."""

    exit_heads: tuple[str, ...] = HEAD_KINDS  # kinds an early exit may have
    final_heads: tuple[str, ...] = HEAD_KINDS  # kinds the final exit may have
    weight_bits: tuple[int, ...] = ALLOWED_BITS  # per block
    activation_bits: tuple[int, ...] = ALLOWED_BITS  # per block
    head_bits: tuple[int, ...] = ALLOWED_BITS  # weights and activations of all early heads
    allocation: bool = True  # False: the accelerator's default PE arrays
    # voltage and frequency: nominal, all, or a list of the accelerator's levels by name
    levels: Literal["nominal", "all"] | tuple[str, ...] = "nominal"
    policy: Literal["per_exit", "shared"] = "per_exit"  # one threshold an exit, or one for all
    score: ScoreName = "max_softmax"  # what thresholds are compared with; see models.scores
    # cost: least energy-latency product above an accuracy floor; accuracy: highest accuracy below a product;
    # `shared`, the paper's, always chooses by product
    policy_goal: Literal["cost", "accuracy"] = "cost"
    temperature_scaling: bool = (
        True  # logits divided by a temperature per exit, fitted on the calibration split
    )
    # cost: how much calibration accuracy the thresholds may give away, as a fraction of 1;
    # accuracy and shared: the largest mean energy-latency product, relative to the static reference
    policy_targets: tuple[float, ...] = (0.0, 0.005, 0.01, 0.02, 0.04)

    @field_validator("exit_heads", "final_heads")
    @classmethod
    def _known_heads(cls, kinds: tuple[str, ...]) -> tuple[str, ...]:
        return _head_kinds(kinds, least=1)

    @field_validator("weight_bits", "activation_bits", "head_bits")
    @classmethod
    def _allowed_bits(cls, bits: tuple[int, ...]) -> tuple[int, ...]:
        if not bits or any(b not in ALLOWED_BITS for b in bits) or list(bits) != sorted(set(bits)):
            allowed = ", ".join(map(str, ALLOWED_BITS))
            raise ValueError(f"expected ascending bit widths out of {allowed}, got {list(bits)}")
        return bits

    @field_validator("levels", mode="before")
    @classmethod
    def _named_levels(cls, levels: object) -> object:
        names = list(levels) if isinstance(levels, list | tuple) else [levels]
        if (
            not names
            or not all(isinstance(name, str) and name for name in names)
            or len(set(names)) < len(names)
        ):
            raise ValueError(f"expected nominal, all or a list of distinct names of levels, got {levels!r}")
        return levels if levels in ("nominal", "all") else tuple(names)

    @field_validator("policy_targets")
    @classmethod
    def _ascending_targets(cls, targets: tuple[float, ...]) -> tuple[float, ...]:
        return _ascending_fractions(targets, least=1)

    @model_validator(mode="after")
    def _shared_is_a_probability(self) -> SpaceConfig:
        if self.policy == "shared" and self.score != "max_softmax":
            raise ValueError(
                f"expected score max_softmax for the shared policy, whose thresholds are 0.70 to 0.95, got "
                f"{self.score!r}; set policy to per_exit"
            )
        return self


class HardwareConfig(Section):
    """The accelerator and how layers are mapped on it."""

    accelerator: str = "edge_tpu_quad"  # a preset's name or a TOML file
    pe_budget: int | None = Field(
        default=None, ge=1
    )  # MAC units over all compute cores; None: the accelerator's own
    mapping: Literal["latency", "energy", "edp"] = "edp"  # what layer-to-core mapping minimises


NO_BOUND = "none"


class ConstraintConfig(Section):
    """The largest value of each quantity that a design may have.

    A number is relative to the static reference; text is an amount with a unit, such as "2.5 ms", or "none".
    """

    error: float | str = NO_BOUND  # share of wrong answers on the validation split
    mean_latency: float | str = NO_BOUND  # mean over samples of the latency up to the exit taken
    mean_energy: float | str = NO_BOUND  # the same for energy
    mean_edp: float | str = NO_BOUND  # the same for their product
    worst_latency: float | str = 1.2  # all exits run, none taken
    weight_memory: float | str = 1.0  # all weights, heads included
    area: float | str = NO_BOUND  # of the chip with the design's PE arrays

    @field_validator("*", mode="before")
    @classmethod
    def _bound(cls, value: object, info: ValidationInfo) -> object:
        if isinstance(value, str):
            text = " ".join(value.split())
            if text == NO_BOUND:
                return text
            try:
                parse_quantity(text, metric_named(str(info.field_name)).dimension)
            except OfframpError as error:
                raise ValueError(
                    f"{error}; a number without quotes is relative to the static reference"
                ) from None
            return text
        if isinstance(value, int | float) and 0 < value < math.inf:
            return float(value)
        raise ValueError(
            "expected a bound above 0: a number that is relative to the static reference, an amount with a unit in "
            f'quotes, or "none", got {value!r}'
        )

    def given(self) -> dict[str, float | str]:
        """The bounds there are, by the name of the quantity."""
        return {name: bound for name in METRIC_NAMES if (bound := getattr(self, name)) != NO_BOUND}


class RefineConfig(Section):
    """How `study.refine` trains the front again; never part of a study's identity."""

    # passes over the train split; None: five times the longest training of the search
    epochs: PositiveFloat | None = None
    # peak of the schedule for weights; None: that of qat. A longer training bears a higher one
    learning_rate: PositiveFloat | None = None
    seeds: int = Field(default=3, ge=1)  # trainings of every network, static reference included
    # beside space.policy_targets, with the same meaning, for designs that follow from the refined networks: more
    # operating points of the same trainings
    policy_targets: tuple[float, ...] = ()

    @field_validator("policy_targets")
    @classmethod
    def _ascending_targets(cls, targets: tuple[float, ...]) -> tuple[float, ...]:
        return _ascending_fractions(targets)


class RunConfig(Section):
    """Where and on what the study runs; never part of its identity."""

    name: str | None = Field(default=None, min_length=1, max_length=200)  # None: the preset's name
    out: str | None = None  # None: runs/<study name>
    storage: str | None = None  # an Optuna storage URL; None: sqlite in the run's folder
    device: Literal["auto", "cpu", "cuda"] = "auto"
    cache: str | None = None  # decoded data and pre-trained networks; None: the user's cache folder
    # seconds without a sign of life after which a trial on another machine is taken up again
    lease_seconds: float = Field(default=300.0, ge=5.0, le=86400.0)


class StudyConfig(Section):
    """Everything a study needs to be run again."""

    search: SearchConfig = SearchConfig()
    data: DataConfig = DataConfig()
    splits: SplitSpec = SplitSpec()
    augment: AugmentSpec = AugmentSpec()
    backbone: BackboneConfig = BackboneConfig()
    space: SpaceConfig = SpaceConfig()
    pretrain: PretrainRecipe = PretrainRecipe()
    qat: QatRecipe = QatRecipe()
    hardware: HardwareConfig = HardwareConfig()
    constraints: ConstraintConfig = ConstraintConfig()
    refine: RefineConfig = RefineConfig()
    run: RunConfig = RunConfig()

    @model_validator(mode="after")
    def _check_together(self) -> StudyConfig:
        self.augment.check_image_size(self.data.image_size)
        if "error" not in (*self.search.objectives, *self.constraints.given()):
            raise ValueError(
                "expected error among search.objectives or a bound on it as constraints.error, got "
                f"{list(self.search.objectives)} and none; without either the search ends at the cheapest network, "
                "whatever it gets wrong"
            )
        return self

    def population(self) -> int:
        """Individuals a generation: clamp(trials / 15, 6, 64), at most trials / 3 and at least 2."""
        wanted = min(max(self.search.trials // 15, 6), 64)
        return max(2, min(wanted, self.search.trials // 3))
