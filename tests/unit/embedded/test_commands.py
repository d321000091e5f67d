import pytest

from embedded.__main__ import main


@pytest.mark.parametrize("port", ["0", "65536", "abc", "-1", "8000x"])
def test_a_port_that_is_none_is_refused_before_it_is_remembered(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["run", f"--port={port}"])
    assert f"'{port}' is not a port: 1 to 65535" in capsys.readouterr().err
