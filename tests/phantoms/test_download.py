"""`fetch_brainweb` against a local server that truncates, corrupts, stalls, refuses and answers nonsense."""

import errno
import gzip
import http.server
import itertools
import shutil
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from phantoms.brainweb import BrainWeb
from phantoms.download import fetch_brainweb
from phantoms.phantom import PhantomError

NAME = "subject04_crisp_v.mnc.gz"


class Server:
    """Answers each request for a volume as the next word of `script` says; the last word stays in force."""

    def __init__(self, volumes):
        self.volumes, self.script, self.requests = volumes, ["sound"], []
        self.closing = threading.Event()
        self.httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.httpd.daemon_threads = True
        self.thread = threading.Thread(target=self.httpd.serve_forever, args=(0.01,))
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.httpd.server_port}/cgi/brainweb1"

    def close(self):
        self.closing.set()
        self.httpd.shutdown()
        self.thread.join()
        self.httpd.server_close()

    def _handler(self):
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                query = {key: value[0] for key, value in parse_qs(urlsplit(self.path).query).items()}
                server.requests.append((query, self.headers.get("Range")))
                word = server.script.pop(0) if len(server.script) > 1 else server.script[0]
                server.answer(self, word, server.volumes[query["do_download_alias"]])

        return Handler

    def answer(self, handler, word, data):
        range_ = handler.headers.get("Range")
        start = (
            int(range_.removeprefix("bytes=").removesuffix("-")) if range_ and "no ranges" not in word else 0
        )
        if word.isdigit():
            handler.send_error(int(word))
        elif word == "page":
            self._send(handler, 200, b"<!DOCTYPE html><html>Sorry, too busy</html>")
        elif word == "corrupt":
            half = len(data) // 2
            self._send(handler, 200, data[:half] + bytes([data[half] ^ 255]) + data[half + 1 :])
        elif start >= len(data):
            handler.send_error(416)
        elif word.startswith("sound"):
            self._send(handler, 206 if start else 200, data[start:], start, len(data))
        elif word == "truncate without length":
            self._send(
                handler,
                206 if start else 200,
                data[start : len(data) * 3 // 5],
                start,
                len(data),
                length=None,
            )
        else:  # truncate, stall: the first half of what is missing
            piece = data[start : (start + len(data)) // 2]
            self._send(handler, 206 if start else 200, piece, start, len(data), length=len(data) - start)
            if word == "stall":
                self.closing.wait(10)

    def _send(self, handler, status, body, start=0, size=0, length=-1):
        handler.send_response(status)
        if status == 206:
            handler.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        if length is not None:
            handler.send_header("Content-Length", str(len(body) if length < 0 else length))
        handler.end_headers()
        handler.wfile.write(body)
        handler.wfile.flush()


@pytest.fixture
def server(minc_gz, monkeypatch):
    for variable in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    server = Server({"subject04_crisp": minc_gz})
    yield server
    server.close()


@pytest.fixture
def fetch(server, as_subject_4, tmp_path):  # noqa: ARG001
    """Fetch subject 04 from the server into a new folder, with little patience."""

    def fetch(**changes):
        settings = {"subjects": [4], "base_url": server.url, "timeout": 0.3, "wait": 0.001, "tries": 4}
        return fetch_brainweb(tmp_path / "cache", **{**settings, **changes})

    return fetch


def files(tmp_path):
    return sorted(p.name for p in (tmp_path / "cache").iterdir())


def test_a_volume_is_asked_for_as_brainwebs_form_does_and_kept(fetch, server, tmp_path, volume):
    assert fetch() == [tmp_path / "cache" / NAME]
    form = {"do_download_alias": "subject04_crisp", "format_value": "minc", "zip_value": "gnuzip"}
    assert server.requests == [({**form, "download_for_real": "[Start download!]"}, None)]
    assert files(tmp_path) == [NAME]
    assert np.array_equal(BrainWeb(directory=tmp_path / "cache").load(4).labels, volume)
    fetch()
    assert len(server.requests) == 1  # what is there and sound is not fetched again


def test_progress_counts_every_byte_once(fetch, server, minc_gz):
    seen = []
    server.script = ["truncate", "sound"]
    fetch(progress=lambda *now: seen.append(now))
    subjects, done, total = zip(*seen, strict=True)
    assert set(subjects) == {4} and set(total) == {len(minc_gz)}
    assert all(b > a for a, b in itertools.pairwise(done)) and done[-1] == len(minc_gz)


@pytest.mark.parametrize("failure", ["truncate", "truncate without length", "stall"])
def test_what_arrived_before_a_break_is_not_fetched_again(failure, fetch, server, minc_gz, tmp_path):
    server.script = [failure, "sound"]
    fetch()
    share = 3 / 5 if "without" in failure else 1 / 2
    assert [range_ for _, range_ in server.requests] == [None, f"bytes={int(len(minc_gz) * share)}-"]
    assert (tmp_path / "cache" / NAME).read_bytes() == minc_gz


@pytest.mark.parametrize(
    "script", [["truncate", "sound, no ranges"], ["corrupt", "sound"], ["page", "503", "sound"]]
)
def test_other_trouble_starts_again_from_nothing(script, fetch, server, minc_gz, tmp_path):
    server.script = list(script)
    fetch()
    assert (tmp_path / "cache" / NAME).read_bytes() == minc_gz
    assert files(tmp_path) == [NAME]
    assert len(server.requests) == len(script)
    assert server.requests[-1][1] is None or "no ranges" in script[-1]


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("page", "after 4 tries: a web page arrived instead of the volume"),
        ("corrupt", "after 4 tries: damaged or other data arrived instead of the volume"),
        ("503", "after 4 tries: the server answered 503 Service Unavailable"),
        ("404", "because the server answered 404 Not Found"),
    ],
)
def test_a_server_without_the_volume_leaves_nothing_behind(word, reason, fetch, server, tmp_path):
    server.script = [word]
    with pytest.raises(
        PhantomError, match=f"subject 04 could not be downloaded from .* {reason}; try"
    ) as caught:
        fetch()
    assert "set MRSIM_BRAINWEB_DIR or --phantom-dir" in str(caught.value) and "\n" not in str(caught.value)
    assert files(tmp_path) == []
    assert len(server.requests) == (1 if word == "404" else 4)


def test_a_fetch_that_gave_up_goes_on_at_the_next_call(fetch, server, minc_gz, tmp_path):
    server.script = ["truncate"]
    with pytest.raises(PhantomError, match=r"after 2 tries: the connection ended after \d+ of \d+ bytes"):
        fetch(tries=2)
    assert files(tmp_path) == [NAME + ".part"]
    server.script = ["sound"]
    fetch()
    assert server.requests[-1][1] == f"bytes={(len(minc_gz) // 2 + len(minc_gz)) // 2}-"
    assert (tmp_path / "cache" / NAME).read_bytes() == minc_gz


def test_an_interrupted_fetch_leaves_no_volume_under_its_name(fetch, tmp_path, minc_gz):
    def interrupt(_subject, done, _total):
        if done > len(minc_gz) // 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(progress=interrupt)
    assert files(tmp_path) == [NAME + ".part"]
    fetch()
    assert files(tmp_path) == [NAME]


@pytest.mark.parametrize("old", ["whole", "longer", "other", "cut off beyond the end"])
def test_a_part_left_over_is_used_or_thrown_away(old, fetch, server, minc_gz, tmp_path):
    part = tmp_path / "cache" / (NAME + ".part")
    part.parent.mkdir()
    contents = {
        "whole": minc_gz,
        "longer": minc_gz * 2,
        "other": minc_gz[:3000] + b"\xff" * 3000,
        "cut off beyond the end": gzip.compress(minc_gz * 2, compresslevel=0)[: len(minc_gz) + 100],
    }
    part.write_bytes(contents[old])
    fetch()
    assert (tmp_path / "cache" / NAME).read_bytes() == minc_gz
    assert files(tmp_path) == [NAME]
    assert len(server.requests) == (1 if old == "whole" else 2)


def test_a_damaged_volume_in_the_folder_is_replaced(fetch, minc_gz, tmp_path):
    target = tmp_path / "cache" / NAME
    target.parent.mkdir()
    target.write_bytes(minc_gz[: len(minc_gz) // 2])
    fetch()
    assert target.read_bytes() == minc_gz


def test_a_host_that_refuses_gets_the_remedies(fetch, tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, not listening
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        with pytest.raises(PhantomError, match=r"after 4 tries: .*refused; try again"):
            fetch(base_url=url)
    assert files(tmp_path) == []


def test_waits_double_between_tries(fetch, server, monkeypatch):
    waits = []
    monkeypatch.setattr(time, "sleep", waits.append)
    server.script = ["503"]
    with pytest.raises(PhantomError, match="after 4 tries"):
        fetch(wait=1.0)
    assert waits == [1.0, 2.0, 4.0]


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl makes the certificate")
def test_a_certificate_that_cannot_be_verified_is_never_accepted(fetch, server, tmp_path):
    files = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    subprocess.run([*command, "-keyout", files[0], "-out", files[1]], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files[1], files[0])
    server.httpd.handle_error = lambda *_: None  # the refused handshake
    server.httpd.socket = context.wrap_socket(server.httpd.socket, server_side=True)
    with pytest.raises(PhantomError, match=r"because its certificate cannot be verified .*self-signed"):
        fetch(base_url=server.url.replace("http:", "https:"), timeout=5)
    assert server.requests == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is the full disk")
def test_a_full_disk_is_one_sentence_and_not_tried_again(fetch, server, tmp_path):
    part = tmp_path / "cache" / (NAME + ".part")
    part.parent.mkdir()
    part.symlink_to("/dev/full")  # every write fails with ENOSPC
    with pytest.raises(PhantomError, match=r"subject 04 cannot be stored in .*: the disk is full") as caught:
        fetch()
    assert caught.value.__cause__.errno == errno.ENOSPC
    assert len(server.requests) == 1


def test_bad_arguments_are_refused_before_anything_happens(fetch, server):
    for changes, sentence in (
        ({"base_url": "file:///etc"}, "base_url must start with http:// or https://"),
        ({"subjects": [4, 7]}, r"subjects must be among 4, 5, .*, got 7"),
        ({"tries": 0}, "tries must be at least 1, got 0"),
    ):
        with pytest.raises(ValueError, match=sentence):
            fetch(**changes)
    assert server.requests == []


def test_real_volumes_pass_the_shipped_checksums(server, brainweb_dir, tmp_path):
    source = BrainWeb(directory=brainweb_dir)
    server.volumes = {f"subject{s}_crisp": source.path(s).read_bytes() for s in (53, 54)}
    paths = fetch_brainweb(tmp_path, subjects=[53, 54], base_url=server.url, timeout=5)
    assert [path.read_bytes() for path in paths] == list(server.volumes.values())
    server.volumes["subject54_crisp"] = server.volumes[
        "subject53_crisp"
    ]  # a sound volume, but of someone else
    (tmp_path / paths[1].name).unlink()
    with pytest.raises(PhantomError, match="subject 54 could not be downloaded"):
        fetch_brainweb(tmp_path, subjects=[53, 54], base_url=server.url, timeout=5, tries=1)
    assert paths[0].exists() and not paths[1].exists()
