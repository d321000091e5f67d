"""One worker process's tools on the real database, store and ffmpeg, with time constants that fit into a test."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from django.conf import settings

from configuration import EncodeConfig, LeaseConfig, RetryConfig
from jobs.rules.policy import JobPolicy
from tests.ffmpeg.sources import AAC, H264, Card, make
from tests.pipeline_client import PipelineClient
from tests.rows import a_plan_policy
from workers.node.flags import SharedFlag
from workers.runner import StepRunner
from workers.tools import Tools
from workers.wiring import tools_from


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirteen seconds of numbered 25 fps frames with beeps: three segments and a tail."""
    return make(tmp_path_factory.mktemp("clip") / "clip.mp4", Card(rate=Fraction(25), frames=325), *H264, *AAC)


@pytest.fixture
def tools(s3_server: object, transactional_db: None, tmp_path: Path) -> Tools:
    """The tools of a worker with a scratch folder of its own, chunks of 4 s and leases that no busy machine loses."""
    config = replace(
        settings.TRANSCODER,
        lease=LeaseConfig(lease_seconds=120, lease_renew_seconds=1.5),
        retry=RetryConfig(retry_base_seconds=0.0, retry_max_seconds=0.0),
        encode=EncodeConfig(x264_preset="ultrafast", publish_seconds=0.1),
        execution=replace(settings.TRANSCODER.execution, scratch_path=str(tmp_path / "scratch")),
    )
    tools = tools_from(config, node="node-1", draining=SharedFlag())
    tools.store.prepare()
    plan = a_plan_policy(chunk_seconds=4, preset="ultrafast")
    return replace(tools, policy=JobPolicy(rank=config.rank, retry=config.retry, plan=plan))


@pytest.fixture
def runner(tools: Tools) -> StepRunner:
    return StepRunner(tools)


@pytest.fixture
def pipeline(tools: Tools) -> PipelineClient:
    return PipelineClient(tools)
