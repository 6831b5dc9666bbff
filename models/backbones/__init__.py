"""Backbones other than tables of inverted residuals: torchvision's, adapted to small images, and any user's."""
