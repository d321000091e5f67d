"""The registry of step kinds is complete, and whatever differs between kinds is read from it."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import fields, replace
from importlib import import_module
from pathlib import Path

import pytest

from jobs.rules import steps as registry
from jobs.rules.steps import (
    CLAIMED_KINDS,
    COMMANDS,
    LAST_STAGE,
    LEFT_OBJECTS,
    MEASURED_KINDS,
    QUEUES,
    STAGES,
    STEPS,
    UNCLAIMED_KINDS,
    VIDEO_KINDS,
    StepKind,
    StepSpec,
    Unit,
)
from tests.unit.transcoding.builders import a_plan
from transcoding.explanation.steps import planned_steps
from workers.runner import RUN

ROOT = Path(__file__).resolve().parents[3]
REGISTRY = "jobs/rules/steps.py"
MAKERS = {
    "jobs/planning/steps.py",
    "jobs/planning/live.py",
    "jobs/lifecycle/inspection.py",
    "jobs/lifecycle/delivering.py",
    "jobs/lifecycle/texts.py",
    "jobs/lifecycle/thumbnails.py",
    "jobs/changes/endings.py",
    "jobs/leasing/relay.py",
}
"""The modules that create steps: the only ones, besides the registry and the steps' own, that may name a kind."""


def _sources() -> Iterator[tuple[str, ast.Module]]:
    """Every module of the product with its path, migrations left out."""
    for path in sorted(ROOT.glob("*/**/*.py")):
        name = str(path.relative_to(ROOT))
        if not name.startswith((".", "tests/", "benchmarks/")) and "/migrations/" not in name:
            yield name, ast.parse(path.read_text())


SOURCES = dict(_sources())


@pytest.mark.parametrize("kind", CLAIMED_KINDS)
def test_every_kind_that_workers_claim_has_a_module_with_a_function_that_runs_it(kind: StepKind) -> None:
    module = import_module(f"workers.steps.{kind}")
    assert RUN[kind] is module.run
    assert list(inspect.signature(module.run).parameters) == ["work", "tools", "control"]


def test_the_stages_hold_every_kind_of_a_job_once() -> None:
    staged = [kind for stage in STAGES for kind in stage]
    assert sorted([*staged, *VIDEO_KINDS, *UNCLAIMED_KINDS]) == sorted(StepKind)
    assert all(STEPS[kind].kind is kind for kind in StepKind)
    assert all(STAGES)
    assert len(LAST_STAGE) == 1  # it completes the job


def test_a_job_makes_progress_and_its_speed_is_measured() -> None:
    assert sum(spec.weight for spec in STEPS.values()) > 0
    assert MEASURED_KINDS
    assert all(STEPS[kind].weight for kind in MEASURED_KINDS)
    assert not any(spec.weight for kind, spec in STEPS.items() if kind in VIDEO_KINDS)


def test_kinds_that_come_before_plans_guard_the_video() -> None:
    guards = [kind for kind, spec in STEPS.items() if spec.rejects_video]
    assert guards == [StepKind.JOIN, StepKind.FETCH, StepKind.VERIFY, StepKind.INSPECT]
    assert set(guards) <= set(VIDEO_KINDS)


def test_what_publishes_segments_says_what_its_attempts_leave_behind() -> None:
    assert all(spec.leaves for spec in STEPS.values() if spec.unit is Unit.SEGMENT)
    assert all(name.strip(".") for name in LEFT_OBJECTS)


def test_a_plan_document_shows_runs_by_names_of_the_registry() -> None:
    plan = a_plan()
    twice = replace(plan, encodings=(replace(plan.encodings[0], two_pass=True),))
    shown = planned_steps(twice, max_pixels=1)
    assert {step.kind for step in shown} == set(COMMANDS)


def test_records_that_contradict_themselves_are_refused() -> None:
    with pytest.raises(ValueError, match="queue"):
        replace(STEPS[StepKind.CHUNK], queue="tape")
    with pytest.raises(ValueError, match="measured"):
        replace(STEPS[StepKind.CHUNK], unit=Unit.STEP)
    assert {spec.queue for spec in STEPS.values()} <= set(QUEUES)


def _names_of_kinds(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "StepKind":
            yield node.attr


def test_no_other_module_treats_a_kind_by_its_name() -> None:
    naming = {name for name, module in SOURCES.items() if any(_names_of_kinds(module))}
    assert naming - {REGISTRY} <= MAKERS | {f"workers/steps/{kind}.py" for kind in StepKind}


def test_every_kind_is_created_somewhere() -> None:
    created = {name for path, module in SOURCES.items() if path in MAKERS for name in _names_of_kinds(module)}
    assert created == {kind.name for kind in StepKind}


def _read_from_records(module: ast.Module) -> Iterator[str]:
    """Names of attributes read as `STEPS[…].name` or `spec.name`."""
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute):
            value = node.value.value if isinstance(node.value, ast.Subscript) else node.value
            if isinstance(value, ast.Name) and value.id in ("STEPS", "spec"):
                yield node.attr


def test_every_field_of_a_record_is_read() -> None:
    read = {attribute for module in SOURCES.values() for attribute in _read_from_records(module)}
    assert {field.name for field in fields(StepSpec)} - read == {"head_start"}  # through `has_head_start`
    assert "has_head_start" in read


def test_every_table_of_the_registry_is_read() -> None:
    tables = {name for name in vars(registry) if name.isupper() and not name.startswith("_")}
    imported = {
        alias.name
        for path, module in SOURCES.items()
        for node in ast.walk(module)
        if path != REGISTRY and isinstance(node, ast.ImportFrom) and node.module == "jobs.rules.steps"
        for alias in node.names
    }
    assert tables - {"INIT_NAME", "M4A_NAME", "MP4_NAME", "SEGMENT_SUFFIX"} <= imported
