"""Colours against the page, and against each other as people see them who lack a kind of cone."""

from __future__ import annotations

import itertools
import json
import re

import numpy as np
import pytest

from dashboards import palette
from dashboards.figures.catalogue import FIGURES
from dashboards.members import linked_members
from dashboards.page import template
from dashboards.palette import DARK, bits_colour, block_colour, dark_words, ink_on, level_colours, qualitative

# Machado, Oliveira and Fernandes, 2009, table of severity 1.0, for linear RGB.
VISION = {
    "full": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
JUST_NOTICED = 0.02
"""Distance in OKLab that is just seen between two areas side by side (Ottosson, 2020)."""

N_BLOCKS = 12
BLOCKS = [block_colour(block, N_BLOCKS) for block in range(N_BLOCKS)]
BITS = [bits_colour(bits) for bits in range(2, 9)]
KINDS = list(qualitative("abcdefgh").values())


def linear(colour):
    parts = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def luminance(colour):
    return float(linear(colour) @ [0.2126, 0.7152, 0.0722])


def contrast(a, b):
    light, dark = sorted([luminance(a), luminance(b)], reverse=True)
    return (light + 0.05) / (dark + 0.05)


def oklab(rgb):
    """Of linear RGB, by the two matrices of its definition."""
    cones = np.array(
        [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
         [0.0883024619, 0.2817188376, 0.6299787005]]
    )  # fmt: skip
    mixed = np.array(
        [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
         [0.0259040371, 0.7827717662, -0.8086757660]]
    )  # fmt: skip
    return mixed @ np.cbrt(cones @ np.clip(rgb, 0.0, 1.0))


def apart(a, b):
    """The least distance of two colours over all kinds of vision."""
    return min(float(np.linalg.norm(oklab(m @ linear(a)) - oklab(m @ linear(b)))) for m in VISION.values())


def on(scheme, colours):
    return list(colours) if scheme == "light" else [DARK[colour] for colour in colours]


def panel(scheme):
    """What figures of the report lie on."""
    light, dark = re.findall(r"--panel: (#[0-9a-f]{6})", template("report.css"))
    return light if scheme == "light" else dark


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_colour_stands_out_from_the_page(scheme):
    colours = [colour for colour in DARK if colour != palette.PAPER]
    worst = min(on(scheme, colours), key=lambda c: contrast(c, panel(scheme)))
    assert contrast(worst, panel(scheme)) >= 3, worst


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_on_areas_is_readable(scheme):
    for colour in [*BITS, *BLOCKS, palette.FRONT]:
        (area,) = on(scheme, [colour])
        ink = ink_on(colour) if scheme == "light" else DARK.get(ink_on(colour), ink_on(colour))
        assert contrast(area, ink) >= 4.5, (area, ink)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_kinds_are_told_apart_with_every_vision(scheme):
    assert len(KINDS) == 8
    for a, b in itertools.combinations(on(scheme, KINDS), 2):
        assert apart(a, b) >= 3 * JUST_NOTICED, (a, b)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("scale", [BLOCKS[:-1], BITS[::-1]], ids=["blocks", "bits"])
def test_scales_grow_lighter_step_by_step_with_every_vision(scheme, scale):
    colours = on(scheme, scale)
    assert [luminance(c) for c in colours] == sorted(luminance(c) for c in colours)
    for a, b in itertools.pairwise(colours):
        assert apart(a, b) >= JUST_NOTICED, (a, b)


def test_okabe_and_itos_own_would_fail_on_white():
    """What these tests are for: the usual palette has an orange, a sky blue and a yellow that are too light."""
    usual = ["#E69F00", "#56B4E9", "#F0E442"]
    assert all(contrast(colour, "#ffffff") < 3 for colour in usual)


def test_figures_have_no_colour_that_a_dark_page_does_not_know(data):
    members = linked_members(data.members, 40)
    words = dark_words()
    for make in FIGURES:
        view = make(data, members)
        text = json.dumps(
            [[figure["data"] for figure in view.figures.values()], list(view.pictures.values())]
        )
        for colour in set(re.findall(r"\"#[0-9a-fA-F]{3,8}\b|rgba?\(\d+, ?\d+, ?\d+,?", text)):
            assert colour.lstrip('"') in {*words, "#000000"}, (view.name, colour)


def test_colours_are_stable_and_distinct():
    colours = qualitative(["a", "b", "c"])
    assert len(set(colours.values())) == 3
    levels = level_colours(["mac", "scratchpad", "dram"])
    assert len({levels[name] for name in ("mac", "scratchpad", "dram")}) == 3
    assert levels["mac"] == level_colours(["mac"])["mac"]
