import pytest

from embedded.__main__ import main


@pytest.mark.parametrize("port", ["0", "65536", "abc", "-1", "8000x"])
def test_an_invalid_port_is_refused(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["run", f"--port={port}"])
    assert f"'{port}' is not a port: 1 to 65535" in capsys.readouterr().err
