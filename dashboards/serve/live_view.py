"""Keeps the copy of a study, its figures, notes and files up to date while the study runs."""

from __future__ import annotations

import hashlib
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from optuna.trial import FrozenTrial, Trial

from dashboards.figures import bits, exit_ratios, front, hypervolume, memory_energy, parallel
from dashboards.figures.view import Figure
from dashboards.members import Member, ReportData, linked_members, records, report_data
from dashboards.network_picture import network_picture
from dashboards.serve.artifacts import Artifact, ArtifactShelf
from dashboards.serve.copy import CONSTRAINTS_KEY, StudyCopy
from dashboards.serve.notes import front_heading, member_note, study_attributes, study_note
from dashboards.text import cycles_unit, script_json
from hwcost.errors import OfframpError

if TYPE_CHECKING:
    import plotly.graph_objects

    from study.live import LiveStudy
    from study.tables import Design

MOST_NOTES = 40
_PICTURE = "network.svg"
_MEMBER_PICTURE = "front_member.svg"
"""Of a derived design, whose exits leave other shares than those of what the trial proposed."""
_PICTURE_WIDTH = 760
_HEIGHT = 450
"""Of the box that optuna-dashboard gives a figure; what is higher lies over the next one."""
_REST = 5
"""So many times as long as an update took the next one waits at least: workers need the machine more."""


@dataclass
class LiveView:
    """What the server shows.

    Attributes:
        live: The study.
        copy: Its copy in memory.
        shelf: Files of its designs.
        checkpoints: Folder of weights; None where the run's folder is not known.
        first_seconds: For derived designs and layers before the first figures are there.
        more_seconds: For what is left of them with each later update.
        last_seconds: How long the last update took.
        figures: Identifiers of the figures, the first to be shown first.
    """

    live: LiveStudy
    copy: StudyCopy
    shelf: ArtifactShelf
    checkpoints: Path | None
    first_seconds: float = 0.5
    more_seconds: float = 3.0
    last_seconds: float = 0.0
    figures: tuple[str, ...] = ()
    _saved: dict[str, str] = field(default_factory=dict)  # what is saved -> checksum of it
    _noted: set[int] = field(default_factory=set)  # trials with a note; the copy begins without any
    _drawn: tuple[Any, ...] = ()  # what was there when figures were drawn last
    _latency_unit: Callable[[float], tuple[float, str]] = cycles_unit
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def update(self) -> int:
        """Takes over what is new and draws it; returns the number of trials that are new or finished.

        Raises:
            OfframpError: The tables cannot be made; the trials are in the copy all the same.
        """
        start = time.monotonic()
        trials = self.live.study.get_trials(deepcopy=False)
        with self._lock:
            try:
                begun = self.live.pending
                results = self.live.results(self.more_seconds if self._saved else self.first_seconds)
                data = report_data(results) if results is not None else None
            except OfframpError:
                self.copy.update(trials, [], self._described)
                raise
            linked = linked_members(data.members, MOST_NOTES) if data is not None else []
            leading = list(dict.fromkeys(int(m.row["trial"]) for m in linked))
            changed = self.copy.update(trials, leading, self._described)
            # Figures are about the study: a copy that is full does not change, and designs of the last trial's
            # network are written after the trial has ended.
            there = _there(trials, data) if data is not None else ()
            if data is not None and (changed or begun or there != self._drawn):
                self._latency_unit = data.latency_unit
                self._draw(data, linked)
                self._write_notes(data, linked)
                self.copy.set_study_attributes(study_attributes(data))
                self._drawn = there
        self.last_seconds = time.monotonic() - start
        return changed

    def keep_updating(self, seconds: float, ended: threading.Event) -> None:
        """Updates until told to end; trouble is told once on standard error and tried again."""
        told = ""
        while not ended.wait(
            self.last_seconds if self.live.pending else max(seconds, _REST * self.last_seconds)
        ):
            try:
                self.update()
            except Exception as error:  # a storage that is away for a moment must not end the server
                line = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
                if line != told:
                    print(f"dashboards.serve: not updated, tried again: {line}", file=sys.stderr)
                told = line

    def _described(self, trial: FrozenTrial) -> tuple[dict[str, Any], dict[str, Any]]:
        """User attributes that a person reads and sorts by, and what the dashboard lists or marks."""
        design = self.live.design(trial)
        shown: dict[str, Any] = {"trial": trial.number}
        if design is None:
            failure = trial.user_attrs.get("failure")
            return shown | ({"failure": str(failure)} if failure else {}), {}
        record, architecture = design.record, design.record.genome.architecture
        shown |= {
            "feasible": record.feasible,
            "accuracy": record.accuracy,
            "mean_edp_pj_cycles": record.mean_edp_pj_cycles,
            "worst_latency_cycles": record.worst_latency_cycles,
            "weight_memory_bits": record.weight_memory_bits,
            "exits": " ".join(map(str, architecture.exits)),
            "heads": " ".join(architecture.heads),
            "weight_bits": " ".join(map(str, architecture.weight_bits)),
            "activation_bits": " ".join(map(str, architecture.activation_bits)),
            "source": record.source,
            "design": design.identifier,
        }
        system: dict[str, Any] = {CONSTRAINTS_KEY: list(record.violations.values()) or [0.0]}
        if record.trained:
            for artifact in self._artifacts(design):
                system |= self.shelf.offer(_owner(trial.number), artifact)
        return shown, system

    def _artifacts(self, design: Design) -> list[Artifact]:
        def made(make: Callable[[Member], str]) -> Callable[[], bytes]:
            def content() -> bytes:
                with self._lock:
                    return make(self._member(design)).encode("utf-8")

            return content

        files = [
            Artifact(_PICTURE, "image/svg+xml", made(_drawn)),
            Artifact("model_card.md", "text/markdown", made(self._card)),
            Artifact(
                "layers.csv", "text/csv", made(lambda m: m.layers.to_csv(index=False, lineterminator="\n"))
            ),
        ]
        if self.checkpoints is not None:
            path = self.checkpoints / f"{design.record.network.key()[:32]}.safetensors"
            if path.is_file():
                files.append(Artifact("checkpoint.safetensors", "application/octet-stream", lambda: path))
        return files

    def _card(self, member: Member) -> str:
        """Of a trained trial, on the front or not."""
        return member_note(member, f"Trial {member.number}", _PICTURE, latency_unit=self._latency_unit)

    def _member(self, design: Design) -> Member:
        rows, exits, layers = self.live.details(design)
        (row,) = records(rows)
        return Member(design.trial, row | {"headline": False}, exits, layers)

    def _draw(self, data: ReportData, linked: list[Member]) -> None:
        """Saves the figures that changed; each saved one is cut into hundreds of attributes."""
        from optuna_dashboard import save_plotly_graph_object

        figures = dashboard_figures(data, linked)
        self.figures = tuple(figures)
        for identifier, figure in figures.items():
            drawn = _Drawn(script_json(figure))
            if self._changed(identifier, drawn.text):
                save_plotly_graph_object(
                    self.copy.study, cast("plotly.graph_objects.Figure", drawn), graph_object_id=identifier
                )

    def _write_notes(self, data: ReportData, linked: list[Member]) -> None:
        from optuna_dashboard import save_note
        from optuna_dashboard.artifact import get_artifact_path

        note = study_note(data, self.copy.thinned, self.live.derived is not None)
        if self._changed("study note", note):
            save_note(self.copy.study, note)
        by_trial = {n: m for n, m in _by_trial(_detailed(linked)).items() if n in self.copy.numbers}
        for number in self._noted - by_trial.keys():  # not on the front any more
            save_note(self._copied(number), "")
            self.copy.unlist_file(number, self.shelf.identifier(_owner(number), _MEMBER_PICTURE))
            self._saved.pop(_note_key(number), None)
        self._noted = set(by_trial)
        for number, members in by_trial.items():
            trial, shown = self._copied(number), _PICTURE
            if members[0].row["source"] == "derived":
                shown = _MEMBER_PICTURE
                drawing = _drawn(members[0]).encode("utf-8")
                artifact = Artifact(shown, "image/svg+xml", partial(bytes, drawing))
                self.copy.list_file(number, self.shelf.offer(_owner(number), artifact))
            else:
                self.copy.unlist_file(number, self.shelf.identifier(_owner(number), _MEMBER_PICTURE))
            picture = get_artifact_path(trial, self.shelf.identifier(_owner(number), shown))
            note = member_note(members[0], front_heading(members[0]), picture, members[1:], data.latency_unit)
            if self._changed(_note_key(number), note):
                save_note(trial, note)

    def _copied(self, number: int) -> Trial:
        """The copy of a trial, by the original's number."""
        return Trial(self.copy.study, self.copy.trial_id(number))

    def _changed(self, what: str, content: str) -> bool:
        checksum = hashlib.sha256(content.encode()).hexdigest()
        before = self._saved.get(what)
        self._saved[what] = checksum
        return before != checksum


@dataclass(frozen=True)
class _Drawn:
    """What optuna-dashboard needs of a figure: building plotly's own objects takes longer than all the rest."""

    text: str

    def to_json(self) -> str:
        """In plotly's JSON form."""
        return self.text


def _drawn(member: Member) -> str:
    """The drawing on a ground of its own: the dashboard has a dark look that a picture does not hear of."""
    return network_picture(member, _PICTURE_WIDTH, "#1b1f24", "#ffffff")


def _detailed(members: list[Member]) -> list[Member]:
    """Those whose exits and layers are computed; the others' turn comes with the next updates."""
    return [member for member in members if len(member.exits)]


def _by_trial(members: list[Member]) -> dict[int, list[Member]]:
    """Members of the front by the trial that trained their network: what it proposed first, then by product."""
    found: dict[int, list[Member]] = {}
    for member in sorted(members, key=lambda m: (m.row["source"] == "derived", m.row["mean_edp_pj_cycles"])):
        found.setdefault(int(member.row["trial"]), []).append(member)
    return found


def dashboard_figures(data: ReportData, linked: list[Member]) -> dict[str, Figure]:
    """The figures for optuna-dashboard by identifier, the most telling first.

    They have titles, as nothing is written above them there.
    """
    detailed = _detailed(linked)
    views = [view(data, detailed if parts else linked) for view, parts in _VIEWS]
    return {
        f"{view.name}-{variant}": _titled(
            view.figures[variant], f"{view.title}{_suffix(view.labels.get(variant))}"
        )
        for view in views
        for variant in view.figures
    }


_VIEWS = (
    (front.view, False), (exit_ratios.view, True), (bits.view, False), (memory_energy.view, True),
    (hypervolume.view, False), (parallel.view, False),
)  # fmt: skip
"""In the order in which they are shown; whether a view is made from exits and layers."""


def _suffix(label: str | None) -> str:
    return f": {label}" if label else ""


def _titled(figure: Figure, title: str) -> Figure:
    traces = [trace for trace in figure["data"] if trace.get("name") != "chosen"]
    entries = sum(trace["type"] == "bar" for trace in traces)  # a legend of exits has more lines than others
    layout = figure["layout"] | {
        "height": _HEIGHT,
        "title": {"text": title, "x": 0.01, "y": 0.98, "yanchor": "top", "font": {"size": 16}},
        "margin": figure["layout"]["margin"] | {"t": 84 if entries <= 10 else 110},
        "paper_bgcolor": "#ffffff",
        "plot_bgcolor": "#ffffff",
        "font": {"color": "#1b1f24"},
    }
    for axis in ("xaxis", "yaxis"):
        layout[axis] = layout[axis] | {"gridcolor": "#e7eaee", "linecolor": "#d8dee4"}
    return {"data": traces, "layout": layout}


def _there(trials: Sequence[FrozenTrial], data: ReportData) -> tuple[Any, ...]:
    """What figures are drawn of, as far as it tells one state of the study from another."""
    designs = data.results.designs
    # A longer training of its network gives a design another accuracy under the same name.
    return (
        sum(trial.state.is_finished() for trial in trials),
        tuple(designs["design"]),
        tuple(designs["accuracy"]),
    )


def _note_key(number: int) -> str:
    return f"note of trial {number}"


def _owner(number: int) -> str:
    return f"trial {number}"
