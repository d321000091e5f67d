import io

from embedded.terminal import Terminal


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar_that_is_redrawn_in_place() -> None:
    screen = Screen()
    terminal = Terminal(screen)
    terminal.bar("upload", 50)
    terminal.line("uploaded")
    assert screen.getvalue() == f"\r\x1b[Kupload {'█' * 15}{'░' * 15}  50 % \r\x1b[Kuploaded\n"


def test_a_file_gets_a_line_every_25_percent() -> None:
    screen = io.StringIO()
    terminal = Terminal(screen)
    for percent in range(0, 101, 5):
        terminal.bar("encode", percent)
    assert screen.getvalue().splitlines() == [f"encode {percent} %" for percent in (0, 25, 50, 75, 100)]


def test_the_first_line_may_come_late() -> None:
    screen = io.StringIO()
    terminal = Terminal(screen)
    terminal.bar("encode", 30, "encoding")
    terminal.bar("encode", 40, "encoding")
    assert screen.getvalue() == "encode 30 % encoding\n"
