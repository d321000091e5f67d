from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parents[3]


def test_the_modules_are_written_from_the_proto(tmp_path: Path) -> None:
    written = tmp_path / "status_grpc" / "generated"
    written.mkdir(parents=True)
    outputs = [f"--{kind}_out={tmp_path}" for kind in ("python", "pyi", "grpc_python")]
    folders = [f"-Istatus_grpc/generated={ROOT / 'status_grpc'}", f"-I{files('grpc_tools') / '_proto'}"]
    assert protoc.main(["protoc", *folders, *outputs, "status_grpc/generated/module_service.proto"]) == 0
    for path in written.iterdir():
        committed = (ROOT / "status_grpc" / "generated" / path.name).read_text()
        assert path.read_text() == committed, f"{path.name} is out of step: make proto"
