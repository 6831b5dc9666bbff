"""The loop of the float pre-training, epoch by epoch, with everything needed to stop and go on."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from hwcost.errors import OfframpError
from models.augment import augment_batch
from models.cutmix import cut_and_mix
from models.float_weights import FloatWeights
from models.gradients import Gradients
from models.image_growth import check_small_images, image_side, resize_batch
from models.loop import arithmetic, batch_indices, weight_groups
from models.loss_record import LossRecord
from models.network import EarlyExitNetwork, initialize
from models.objective import exit_weights, joint_loss, learning_rate_factor
from models.recipe import PretrainRecipe
from models.seeds import derive_seed
from models.training_data import TrainingData

_WEIGHT, _AVERAGE, _MOMENTUM = "weight.", "average.", "momentum."

PROGRESS_STEPS = 10
"""Steps between two calls of the progress callback."""


class Pretraining:
    """A float network in training.

    Random numbers of an epoch derive from (seed, epoch), so a training that is restored after an epoch goes
    on exactly as one that was never stopped.

    Args:
        network: Trained in place; its weights are drawn anew.
        data: On the device.
        recipe: How to train.
        seed: Of weights, batches and augmentation.
        device: Of PyTorch.
        start: Weights that backbone and heads start from instead of the drawn ones, where it has them.

    Raises:
        OfframpError: When the backbone cannot take the small images the recipe starts with, or the recipe has no
            epochs and the start lacks a head.

    Attributes:
        epoch: Whole epochs done.
        samples: Images seen.
    """

    def __init__(
        self,
        network: EarlyExitNetwork,
        data: TrainingData,
        recipe: PretrainRecipe,
        seed: int,
        device: str,
        start: FloatWeights | None = None,
    ) -> None:
        initialize(network, torch.Generator().manual_seed(derive_seed("weights", seed)))
        untrained = ("the backbone",) if start is None else start.put_into(network)
        if recipe.epochs == 0 and untrained:
            raise OfframpError(
                f"expected float weights with everything that is searched where nothing is pre-trained, got none of "
                f"{', '.join(untrained[:3])}; set pretrain.epochs to train them, or search the heads there are"
            )
        network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network = network
        self.data = data
        self.recipe = recipe
        self.seed = seed
        self.epoch = 0
        self.batch_size = min(recipe.batch_size, len(data.train_images))
        self.steps_per_epoch = max(1, len(data.train_images) // self.batch_size)
        check_small_images(network, recipe.steps(len(data.train_images)), recipe)
        self.optimizer = torch.optim.SGD(
            weight_groups(network, recipe.weight_decay, []),
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            nesterov=recipe.momentum > 0,
        )
        self.parameters = dict(network.named_parameters())
        self.averages = {name: p.detach().clone() for name, p in self.parameters.items()}
        last = network.spec.n_blocks - 1
        is_final = [mount.block == last for mount in network.mounts]
        self.n_final = sum(is_final)
        self.clipped_together = _clipped_together(network, recipe.exit_gradient)
        self.exit_weights = exit_weights(is_final, recipe.exit_weight).to(device)
        # The final exit teaches the others; it learns from the labels alone.
        early_share = torch.tensor([0.0 if final else recipe.distillation_weight for final in is_final])
        self.distilled = early_share.to(device)
        self.gradients = Gradients(self._compute, list(network.parameters()))

    @property
    def samples(self) -> int:
        """Images seen, repeats counted."""
        return self.epoch * self.steps_per_epoch * self.batch_size

    def run_epoch(self, progress: Callable[[str, int, int, float], None] | None = None) -> None:
        """One pass over the train split.

        Raises:
            NonFiniteLoss: When the loss becomes NaN or infinite.
        """
        self.network.train()
        generator = torch.Generator().manual_seed(derive_seed("pretrain", self.seed, self.epoch))
        indices = batch_indices(len(self.data.train_images), self.batch_size, generator)
        n_steps = self.steps_per_epoch * self.recipe.epochs
        losses = LossRecord(
            n_steps, self.recipe.learning_rate, self.epoch * self.steps_per_epoch, " of the pre-training"
        )
        n_right = torch.zeros((), dtype=torch.int64, device=self.data.train_images.device)
        n_seen = 0
        for step_of_epoch in range(self.steps_per_epoch):
            step = self.epoch * self.steps_per_epoch + step_of_epoch
            n_right += self._step(next(indices), generator, step, n_steps, losses)
            n_seen += self.batch_size
            if progress is not None and (step % PROGRESS_STEPS == 0 or step == n_steps - 1):
                progress("pre-training", step + 1, n_steps, int(n_right) / n_seen)
        losses.check()
        self.epoch += 1

    def _step(
        self, batch: Tensor, generator: torch.Generator, step: int, n_steps: int, losses: LossRecord
    ) -> Tensor:
        data, recipe = self.data, self.recipe
        images = augment_batch(
            data.train_images[batch], data.augment, data.mean, data.std, generator, channels_last=True
        )
        labels = data.train_labels[batch]
        if recipe.cutmix:
            images, labels = cut_and_mix(images, labels, data.classes, recipe.cutmix, generator)
        factor = learning_rate_factor(step, n_steps, recipe.warmup, recipe.final_learning_rate)
        for group in self.optimizer.param_groups:
            group["lr"] = recipe.learning_rate * factor
        side = image_side(step, n_steps, data.image_size, recipe.start_size, recipe.full_size_from)
        loss, n_right = self.gradients(resize_batch(images, side), labels)
        losses.add(loss)
        for parameters in self.clipped_together:
            torch.nn.utils.clip_grad_norm_(parameters, recipe.gradient_clip)
        self.optimizer.step()
        self._average(step)
        return n_right

    def _compute(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The joint loss, and how many images the final exit has right; of mixed ones the larger part."""
        recipe = self.recipe
        with arithmetic(recipe.precision, images.device):
            logits = self.network(images, recipe.exit_gradient)
        final = torch.stack(logits[-self.n_final :]).float().mean(0)
        loss = joint_loss(
            logits,
            labels,
            final,
            self.exit_weights,
            self.distilled,
            recipe.distillation_temperature,
            recipe.label_smoothing,
        )
        classes = labels if labels.dim() == 1 else labels.argmax(1)
        return loss, (final.argmax(1) == classes).sum()

    def _average(self, step: int) -> None:
        if self.recipe.ema_decay == 0:
            return
        # Early on, a mean over few steps would still hold the random start.
        decay = min(self.recipe.ema_decay, (step + 1) / (step + 10))
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self.averages.values()), [p.detach() for p in self.parameters.values()], 1 - decay
            )

    def finish(self) -> None:
        """Puts the mean weights into the network; BatchNorm statistics must be measured afterwards."""
        if self.recipe.ema_decay:
            with torch.no_grad():
                for name, parameter in self.parameters.items():
                    parameter.copy_(self.averages[name])

    def tensors(self) -> dict[str, Tensor]:
        """Everything that changes while training."""
        found = {f"{_WEIGHT}{name}": tensor for name, tensor in self.network.state_dict().items()}
        found |= {f"{_AVERAGE}{name}": tensor for name, tensor in self.averages.items()}
        for name, parameter in self.parameters.items():
            momentum = self.optimizer.state[parameter].get("momentum_buffer")
            if momentum is not None:
                found[f"{_MOMENTUM}{name}"] = momentum
        return found

    def restore(self, tensors: Mapping[str, Tensor], epoch: int) -> None:
        """Goes back to what `tensors` returned after `epoch` epochs.

        Raises:
            KeyError: When something is missing; nothing has changed then.
        """
        weights = {name: tensors[f"{_WEIGHT}{name}"] for name in self.network.state_dict()}
        averages = {name: tensors[f"{_AVERAGE}{name}"] for name in self.averages}
        momenta = {name: tensors.get(f"{_MOMENTUM}{name}") for name in self.parameters}
        self.network.load_state_dict(weights)
        for name, parameter in self.parameters.items():
            self.averages[name].copy_(averages[name])
            momentum = momenta[name]
            if momentum is not None:
                buffer = torch.empty_like(parameter, requires_grad=False)
                self.optimizer.state[parameter]["momentum_buffer"] = buffer.copy_(momentum)
        self.epoch = epoch


def _clipped_together(network: EarlyExitNetwork, exit_gradient: float) -> list[list[nn.Parameter]]:
    """Parameters in groups whose gradients are clipped by one norm.

    Where early exits give the backbone no gradient, their heads have a norm of their own: in a common one, large
    gradients of theirs would shorten the backbone's steps.
    """
    last = network.spec.n_blocks - 1
    early = [mount.name for mount in network.mounts if mount.block != last] if exit_gradient == 0 else []
    apart = [parameter for name in early for parameter in network.heads[name].parameters()]
    ids = {id(parameter) for parameter in apart}
    rest = [parameter for parameter in network.parameters() if id(parameter) not in ids]
    return [rest, apart] if apart else [rest]
