"""nginx in a folder of its own, with a configuration that a subclass writes."""

from __future__ import annotations

import os
import pwd
from abc import abstractmethod

from embedded.home import open_private
from embedded.ports import port_answers
from embedded.service import Service, find_program
from execution.daemons import DaemonError


class NginxService(Service):
    """An nginx in the foreground. It runs as the user who starts it, and writes below its folder only."""

    @abstractmethod
    def configuration(self) -> str:
        """Everything below `events`, and directives of the main level."""

    def argv(self) -> list[str]:
        program = find_program("nginx")
        if program is None:
            raise DaemonError("nginx is not installed: run `make setup`")
        return [str(program), "-p", str(self.folder), "-c", str(self.folder / "nginx.conf"), "-e", "stderr"]

    def prepare(self) -> None:
        super().prepare()
        with open_private(self.folder / "nginx.conf") as file:
            file.write(self._main() + self.configuration())

    def ready(self) -> bool:
        """Return True if it accepts connections."""
        return all(port_answers(port) for port in self.ports())

    def _main(self) -> str:
        user = pwd.getpwuid(os.geteuid()).pw_name
        as_root = f"user {user};\n" if os.geteuid() == 0 else ""  # elsewhere nginx warns that it cannot change its user
        return f"daemon off;\nworker_processes 1;\n{as_root}pid {self.folder / 'nginx.pid'};\n"
