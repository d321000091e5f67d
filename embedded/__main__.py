"""`python -m embedded run [--video PATH] [--port N]`, `live`, `admin`, `manage COMMAND …`, `stop`, `status`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx2
from django.core.management import execute_from_command_line

from configuration import ConfigurationError
from embedded.client import ApiError
from embedded.home import HOME, Home, write_json
from embedded.live import channel, publish_pattern
from embedded.pipeline import JobFailed, run_pipeline
from embedded.service import PortTaken
from embedded.stack import Stack
from embedded.terminal import Terminal
from execution import daemons
from execution.daemons import DaemonError

CLIP = HOME / "media" / "clip.mp4"


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Returns the exit code; on failure prints the reason and returns 1."""
    options = _parser().parse_args(arguments)
    terminal = Terminal()
    try:
        command: Callable[[argparse.Namespace, Terminal], None] = options.command
        command(options, terminal)
    except (DaemonError, PortTaken, ConfigurationError, ApiError, JobFailed, FileNotFoundError) as error:
        return _fail(terminal, str(error))
    except httpx2.HTTPError as error:
        return _fail(terminal, f"the API does not respond: {error}")
    except BlockingIOError:
        return _fail(terminal, "another `make run`, `make live` or `make stop` runs here; wait for it")
    except KeyboardInterrupt:
        return _fail(terminal, "interrupted; started processes keep running until `make stop`")
    return 0


def run(options: argparse.Namespace, terminal: Terminal) -> None:
    """Start the services, print the page and its login, transcode one video."""
    video: Path = options.video.resolve()
    if not video.is_file():
        raise FileNotFoundError(f"there is no file {video}" + ("; run `make setup`" if video == CLIP else ""))
    with _stack() as stack:
        if options.port:
            stack.api.set_port(options.port)
        stack.start(terminal.line)
        name, password = stack.admin_login()
        terminal.line(f"the page: {stack.api.url}/  name {name}  password {password}")
        client = stack.client()
    with closing(client):
        result = run_pipeline(video, client=client, terminal=terminal, check=lambda: _require_running(stack))
    error = result.pop("error")
    write_json(HOME / "last-run.json", {"api_url": stack.api.url, "api_key": client.api_key, **result})
    if error:
        raise JobFailed(f"job {result['job_id']} {result['state']}: {error['detail']} ({error['code']})")
    names = ", ".join(rendition["name"] for rendition in result["renditions"])
    terminal.line(
        f"done: {names}; playable after {result['seconds_to_playable']} s, complete after {result['seconds_total']} s"
    )
    terminal.line(f"  page   {stack.api.url}/  name {name}  password {password}")
    terminal.line(f"  watch  {result['hls_url']}\n  API    {stack.api.url}/api/v1/videos/{result['video_id']}")
    terminal.line(f"  key    in {HOME / 'last-run.json'}, as api_key")
    terminal.line(f"  admin  {stack.api.url}/admin/ with the same name and password")
    terminal.line("the services keep running until `make stop`")


def live(_options: argparse.Namespace, terminal: Terminal) -> None:
    """Start the services with all for live streams, publish a test pattern, and print how to publish and to watch."""
    with _stack() as stack:
        stack.start_live(terminal.line)
        with closing(stack.client()) as client:
            key, rtmp = client.api_key, stack.ingest.url
            pattern = publish_pattern(stack.home, client, rtmp, lambda: _require_running(stack))
            own = channel(stack.home, client, "camera")
    livestream, relay, status = pattern.document, stack.relay.url, stack.status_grpc.address
    entries = {
        "livestream_id": livestream["id"],
        "rtmp_url": rtmp,
        "stream_key": pattern.stream_key,
        "hls_url": livestream["playback"]["hls_url"],
        "dash_url": livestream["playback"]["dash_url"],
        "own_livestream_id": own.document["id"],
        "own_stream_key": own.stream_key,
        "own_hls_url": own.document["playback"]["hls_url"],
        "relay_url": relay,
        "grpc_address": status,
        "api_url": stack.api.url,
        "api_key": key,
    }
    write_json(HOME / "last-live.json", entries)
    terminal.line(f"a test pattern is on the air:\n  {entries['hls_url']}\n  {entries['dash_url']}")
    terminal.line("publish a live stream of your own:")
    terminal.line(f"  OBS     service Custom, server {rtmp}, stream key {own.stream_key}")
    terminal.line(f"  ffmpeg  ffmpeg -re -i video.mp4 -c:v libx264 -c:a aac -f flv '{rtmp}/{own.stream_key}'")
    terminal.line(f"  watch   {entries['own_hls_url']}")
    terminal.line("convert a live stream over HTTP, with the URL of its source percent-encoded:")
    terminal.line(f"  video and audio  mpv '{relay}/transcode?key={key}&source_url=http%3A%2F%2F…'")
    terminal.line(f"  audio alone      mpv '{relay}/remux?key={key}&source_url=http%3A%2F%2F…'")
    if not stack.relay.environ().get("TRANSCODER_SOURCE_NETWORKS"):
        terminal.line("receivers in your own network: TRANSCODER_SOURCE_NETWORKS=192.168.1.0/24 make live")
    terminal.line(f"the status service (gRPC) is at {status}; all of this is in {HOME / 'last-live.json'}")
    terminal.line("the services keep running until `make stop`")


def admin(_options: argparse.Namespace, terminal: Terminal) -> None:
    """Print URLs, name and password of the page and the admin. Creates the account on first use."""
    with _stack() as stack:
        _require_started(stack)
        name, password = stack.admin_login()
        terminal.line(f"{stack.api.url}/ and {stack.api.url}/admin/  name {name}  password {password}")


def manage(options: argparse.Namespace, _terminal: Terminal) -> None:
    """Run a command of `manage.py` with the settings of the running services."""
    with _stack() as stack:
        _require_started(stack)
        os.environ.update(stack.worker.environ())
    os.environ["DJANGO_SETTINGS_MODULE"] = "transcoder_site.settings"
    execute_from_command_line(["manage.py", *options.arguments])


def stop(_options: argparse.Namespace, terminal: Terminal) -> None:
    """Stop all services that were started here."""
    with _stack() as stack:
        stack.close(terminal.line)
    terminal.line("all services are stopped; their data stays in .vodmill/")


def status(_options: argparse.Namespace, terminal: Terminal) -> None:
    """List the services with their process ids."""
    with _stack() as stack:
        for service in stack.services:
            identity = service.identity
            terminal.line(
                f"{service.name:14}" + (f"runs, process {identity.pid}" if identity and service.running() else "-")
            )


@contextmanager
def _stack() -> Iterator[Stack]:
    """Yield the services of this folder under its lock. Raises BlockingIOError."""
    with Home(HOME).locked():
        yield Stack(Home(HOME))


def _require_started(stack: Stack) -> None:
    if not stack.api.running():
        raise FileNotFoundError("nothing runs here: `make run` starts it")


def _require_running(stack: Stack) -> None:
    for process in stack.product:
        if not process.running():
            raise DaemonError(f"{process.name} ended; the end of {process.log}:\n{daemons.log_tail(process.log)}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m embedded", description=__doc__)
    commands = parser.add_subparsers(required=True)
    run_parser = commands.add_parser("run", help=run.__doc__)
    run_parser.add_argument("--video", type=Path, default=CLIP, help="the video; by default the clip of the set-up")
    run_parser.add_argument("--port", type=_port, help="the API's port from now on")
    run_parser.set_defaults(command=run)
    manage_parser = commands.add_parser("manage", help=manage.__doc__)
    manage_parser.add_argument("arguments", nargs=argparse.REMAINDER, help="as after `manage.py`")
    manage_parser.set_defaults(command=manage)
    for command in (live, admin, stop, status):
        commands.add_parser(command.__name__, help=command.__doc__).set_defaults(command=command)
    return parser


def _port(text: str) -> int:
    if not (text.isdecimal() and 0 < int(text) < 1 << 16):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: 1 to 65535")
    return int(text)


def _fail(terminal: Terminal, text: str) -> int:
    terminal.line(f"failed: {text}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
