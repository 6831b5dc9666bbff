"""Strides of networks made for 224x224 images, on smaller ones."""

SMALLEST_MAP = 4
"""Side below which the last map should not fall; exit heads pool to this."""


def strides_for(image_size: int, strides: tuple[int, ...]) -> tuple[int, ...]:
    """The strides of a network, the first of them set to 1 until its last map is at least 4x4.

    At 32x32 this gives what is commonly done for CIFAR: ResNet-18 without stride in its first convolution and
    without max-pooling, MobileNetV2 and EfficientNet-B0 without stride in their first convolution and their first
    strided stage. From 128x128 on nothing is changed.

    Args:
        image_size: Side of the image in pixels.
        strides: Of the layers that have one, in order.
    """
    kept = list(strides)
    for index in range(len(kept)):
        size = image_size
        for stride in kept:
            size = -(-size // stride)
        if size >= SMALLEST_MAP:
            break
        kept[index] = 1
    return tuple(kept)
