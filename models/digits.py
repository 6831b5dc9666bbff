"""scikit-learn's handwritten digits: real images that need no download."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from models.image_set import ImageSet, content_fingerprint
from models.splits import SplitSpec, make_splits

# The set has no test images of its own. They are carved out first, always the same ones, so that no
# split seed of a study can bring a test image into training.
_TEST_SPLIT = SplitSpec(calibration=0.2, validation=0.2, seed=20240229)


def load_digits(image_size: int) -> ImageSet:
    """Return the 1,797 digits (8x8, 17 grey levels), resized bilinearly to ``image_size``.

    A stratified fifth (359 images) is the test set, the rest are train images.
    """
    from sklearn.datasets import load_digits as load_bunch

    bunch = load_bunch()
    levels = np.rint(bunch.images * (255.0 / 16.0)).astype(np.uint8)  # (n, 8, 8)
    resized = np.stack(
        [
            np.asarray(Image.fromarray(level).resize((image_size, image_size), Image.Resampling.BILINEAR))
            for level in levels
        ]
    )
    images = torch.from_numpy(resized).unsqueeze(1)
    labels = bunch.target.astype(np.int64)
    test = make_splits(labels, _TEST_SPLIT).validation
    train = np.setdiff1d(np.arange(labels.size), test)
    train_images, test_images = images[torch.from_numpy(train)], images[torch.from_numpy(test)]
    train_labels, test_labels = torch.from_numpy(labels[train]), torch.from_numpy(labels[test])
    class_names = tuple(str(digit) for digit in range(10))
    return ImageSet(
        name="digits",
        train_images=train_images,
        train_labels=train_labels,
        test_images=test_images,
        test_labels=test_labels,
        class_names=class_names,
        fingerprint=content_fingerprint(train_images, train_labels, test_images, test_labels, class_names),
        archive_name="scikit-learn digits",
        mirror_safe=False,
    )
