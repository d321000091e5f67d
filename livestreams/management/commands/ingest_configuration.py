from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from livestreams.nginx import Certificate, NginxIngest, TlsListener

_HOOKS_PORT, _DECRYPTED_PORT = 18935, 18936
"""Ports of loopback. An ingest server has a container, or a machine, of its own."""


class Command(BaseCommand):
    help = "Print the configuration of an nginx with the RTMP module that publishers connect to. It holds the secret."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        config = settings.TRANSCODER.livestreams
        hooks = f"http://127.0.0.1:{config.ingest_hooks_port}"
        parser.add_argument("--address", default=config.ingest_address, help="host and port for live workers")
        parser.add_argument("--hooks-url", default=hooks, help="base URL of the process `ingest_hooks`")
        parser.add_argument("--port", type=int, default=1935, help="port for RTMP")
        parser.add_argument("--tls-port", type=int, default=1936, help="port for RTMPS, if there is a certificate")
        parser.add_argument("--certificate", type=Path, help="file of a certificate, with its chain")
        parser.add_argument("--certificate-key", type=Path, help="file of its key")
        parser.add_argument("--folder", type=Path, default=Path("/tmp"), help="folder that nginx may write to")  # noqa: S108 - of a container

    def handle(self, *args: Any, **options: Any) -> None:
        secret = settings.TRANSCODER.livestreams.ingest_secret
        if not secret:
            raise CommandError("TRANSCODER_INGEST_SECRET is empty, so nobody could publish")
        if bool(options["certificate"]) != bool(options["certificate_key"]):
            raise CommandError("a certificate needs --certificate and --certificate-key")
        tls = None
        if options["certificate"]:
            certificate = Certificate(options["certificate"], options["certificate_key"])
            tls = TlsListener(certificate=certificate, listen=str(options["tls_port"]), decrypted_port=_DECRYPTED_PORT)
        ingest = NginxIngest(
            listen=str(options["port"]),
            address=options["address"],
            hooks_url=options["hooks_url"],
            secret=secret,
            hooks_port=_HOOKS_PORT,
            folder=options["folder"],
            tls=tls,
        )
        main = f"daemon off;\nworker_processes 1;\npid {options['folder'] / 'nginx.pid'};\n"
        self.stdout.write(main + ingest.configuration())
