"""Which of many designs meet the hardware constraints, several of them in one call of the simulator.

One call for eight designs takes hardly longer than two calls for one each. So the designs whose turn may come next
are checked together with the one whose turn it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice

Genes = Mapping[str, int]
Check = Callable[[Sequence[Genes]], Sequence[bool]]
"""Whether designs, given by their genes, meet the constraints."""

AHEAD = 4
"""Designs that are checked together with the one whose turn it is."""

MOST_KNOWN = 4096
"""Outcomes that are remembered, the latest; those of one proposal are far fewer."""


class DesignChecks:
    """Remembers which designs meet the constraints.

    Args:
        check: Of designs that were not checked before; None: all meet them.
        names: Of the genes.
        note: Is told of every outcome as it is looked at: the row of gene indices and whether it meets them.
    """

    def __init__(
        self, check: Check | None, names: Sequence[str], note: Callable[[tuple[int, ...], bool], None]
    ) -> None:
        self._check = check
        self._names = names
        self._note = note
        self._known: dict[tuple[int, ...], bool] = {}

    @property
    def ahead(self) -> int:
        """How many designs it pays to check at once."""
        return 1 if self._check is None else AHEAD

    def take(self, row: Sequence[int], met: bool) -> None:
        """Takes in the outcome of a check that was made elsewhere."""
        if self._check is not None and tuple(row) not in self._known:
            self._keep(tuple(row), met)

    def look_at(self, designs: Sequence[Genes]) -> None:
        """Checks what is not known of these in one call."""
        if self._check is None:
            return
        new = {row: genes for genes in designs if (row := self._row(genes)) not in self._known}
        if not new:
            return
        for row, met in zip(new, self._check(list(new.values())), strict=True):
            self._keep(row, bool(met))

    def meets(self, genes: Genes) -> bool:
        """Whether a design meets the constraints."""
        if self._check is None:
            return True
        self.look_at([genes])
        return self._known[self._row(genes)]

    def first(self, designs: Sequence[Genes], wanted: Callable[[Genes], bool]) -> int | None:
        """Place of the first design that is wanted and meets the constraints; None: there is none.

        Args:
            designs: In the order of preference.
            wanted: Whether one is wanted; asked before it is checked.
        """
        places = (i for i, genes in enumerate(designs) if wanted(genes))
        while chunk := list(islice(places, self.ahead)):
            self.look_at([designs[i] for i in chunk])
            for i in chunk:
                if self.meets(designs[i]):
                    return i
        return None

    def _keep(self, row: tuple[int, ...], met: bool) -> None:
        self._known[row] = met
        self._note(row, met)
        if len(self._known) > MOST_KNOWN:
            del self._known[next(iter(self._known))]

    def _row(self, genes: Genes) -> tuple[int, ...]:
        return tuple(genes[name] for name in self._names)


class Draws:
    """Draws designs until their number is spent.

    Args:
        draw: Draws one.
        wanted: Whether one may be proposed.
        most: Draws there are.
    """

    def __init__(
        self, draw: Callable[[], dict[str, int]], wanted: Callable[[Genes], bool], most: int
    ) -> None:
        self._draw, self._wanted, self._left = draw, wanted, most
        self.latest: dict[str, int] = {}
        """What is proposed where nothing is better: the last wanted design, failing that the last one."""
        self._latest_wanted = False

    def take(self, count: int) -> list[dict[str, int]]:
        """The next wanted designs, fewer where the draws are spent."""
        found: list[dict[str, int]] = []
        while self._left > 0 and len(found) < count:
            genes = self._draw()
            self._left -= 1
            wanted = self._wanted(genes)
            if wanted:
                found.append(genes)
            if wanted or not self._latest_wanted:
                self.latest, self._latest_wanted = genes, wanted
        return found
