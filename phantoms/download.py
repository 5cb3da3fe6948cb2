"""Download the BrainWeb volumes: resumable, retried, checked voxel by voxel, never half-written.

A volume grows as `NAME.part` and gets its name only once its labels have the known SHA-256; a `.part`
that is left over is continued when the server supports ranges, else fetched anew.
"""

from __future__ import annotations

import errno
import os
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from phantoms.brainweb import REMEDY, SUBJECTS, cache_directory
from phantoms.brainweb_files import TruncatedError, check_subject, read_labels
from phantoms.phantom import PhantomError

BASE_URL = "https://brainweb.bic.mni.mcgill.ca/cgi/brainweb1"
CHUNK = 1 << 16
BUSY = (408, 425, 429, 500, 502, 503, 504)  # HTTP states that a later try may find cured

Progress = Callable[[int, int, int | None], None]  # subject, bytes so far, bytes in all where known


class _TransientError(Exception):
    """A failure that another try may not meet."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Job:
    """One volume on its way from the server into the folder."""

    subject: int
    directory: Path
    base_url: str
    timeout: float  # [s] without a byte
    progress: Progress

    @property
    def target(self) -> Path:
        return self.directory / f"subject{self.subject:02d}_crisp_v.mnc.gz"

    @property
    def part(self) -> Path:
        return self.target.with_name(self.target.name + ".part")

    @property
    def url(self) -> str:
        form = {
            "do_download_alias": f"subject{self.subject:02d}_crisp",
            "format_value": "minc",
            "zip_value": "gnuzip",
            "download_for_real": "[Start download!]",
        }
        return f"{self.base_url}?{urlencode(form)}"


def fetch_brainweb(
    directory: Path | str | None = None,
    *,
    subjects: Iterable[int] = SUBJECTS,
    base_url: str = BASE_URL,
    progress: Progress | None = None,
    timeout: float = 30.0,
    tries: int = 5,
    wait: float = 1.0,
) -> list[Path]:
    """Download the crisp volumes of `subjects` and return their paths; those that are there and sound stay.

    directory : folder for the volumes, created if need be; None is `phantoms.brainweb.cache_directory()`
    progress : called with (subject, bytes so far, bytes in all or None) at every piece
    timeout : [s] without a byte after which a connection counts as stalled
    tries : connections per volume before giving up
    wait : [s] before the second try, doubled before each further one

    PhantomError in one sentence when the network, the server, the data or the disk fails; what is
    complete by then stays, and the same call goes on from there.
    """
    if urlsplit(base_url).scheme not in ("http", "https"):
        raise ValueError(f"base_url must start with http:// or https://, got {base_url!r}")
    subjects = tuple(subjects)
    if unknown := [s for s in subjects if s not in SUBJECTS]:
        raise ValueError(f"subjects must be among {', '.join(map(str, SUBJECTS))}, got {unknown[0]}")
    if tries < 1:
        raise ValueError(f"tries must be at least 1, got {tries}")
    folder = cache_directory() if directory is None else Path(directory).expanduser()
    paths = []
    for subject in subjects:
        job = _Job(
            subject=subject,
            directory=folder,
            base_url=base_url,
            timeout=timeout,
            progress=progress or (lambda *_: None),
        )
        paths.append(_obtain(job, tries=tries, wait=wait))
    return paths


def _obtain(job: _Job, *, tries: int, wait: float) -> Path:
    """Try until the volume is there; the OS errors that reach this place are those of the disk."""
    try:
        job.directory.mkdir(parents=True, exist_ok=True)
        if _is_sound(job):
            return job.target
        reason = ""
        for attempt in range(tries):
            if attempt:
                time.sleep(wait * 2 ** (attempt - 1))
            try:
                return _attempt(job)
            except _TransientError as error:
                reason = str(error)
    except OSError as error:
        what = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
        raise PhantomError(
            f"BrainWeb subject {job.subject:02d} cannot be stored in {job.directory}: {what}"
        ) from error
    raise _given_up(job, f"after {tries} tries: {reason}")


def _given_up(job: _Job, reason: str) -> PhantomError:
    return PhantomError(
        f"BrainWeb subject {job.subject:02d} could not be downloaded from {job.base_url} {reason}; "
        f"try again (it goes on from there), or {REMEDY}"
    )


def _is_sound(job: _Job) -> bool:
    """Whether the volume is there already, complete and unharmed."""
    try:
        check_subject(read_labels(job.target), job.subject, job.target)
    except PhantomError:
        return False
    size = job.target.stat().st_size
    job.progress(job.subject, size, size)
    return True


def _attempt(job: _Job) -> Path:
    """One connection: receive, check the labels, and only then give the file its name."""
    ended = _receive(job)
    try:
        check_subject(read_labels(job.part), job.subject, job.part)
    except TruncatedError as error:
        if ended:  # there is no more to come: the part belongs to other data
            job.part.unlink()
        raise _TransientError("the volume arrived truncated") from error
    except PhantomError as error:
        what = _what_arrived(job.part)
        job.part.unlink()
        raise _TransientError(f"{what} arrived instead of the volume") from error
    job.part.replace(job.target)
    return job.target


def _what_arrived(part: Path) -> str:
    with part.open("rb") as file:
        start = file.read(200).lstrip().lower()
    return "a web page" if start.startswith((b"<!doctype", b"<html", b"<head")) else "damaged or other data"


def _receive(job: _Job) -> bool:
    """Bring `part` as far as one connection goes; True when the server says that this is all."""
    have = job.part.stat().st_size if job.part.exists() else 0
    response = _open(job, have)
    if response is None:
        return True
    with response:
        resumed = response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        start = have if resumed else 0  # a server without ranges begins again
        length = response.headers.get("Content-Length")
        total = start + int(length) if length and length.isdigit() else None
        with job.part.open("r+b" if resumed else "wb") as file:
            received = file.seek(start)
            while chunk := _piece(response):
                file.write(chunk)
                received += len(chunk)
                job.progress(job.subject, received, total)
            os.fsync(file.fileno())
    if total is not None and received < total:
        raise _TransientError(f"the connection ended after {received} of {total} bytes")
    return total is not None


def _piece(response: HTTPResponse) -> bytes:
    try:
        return response.read1(CHUNK)
    except TimeoutError as error:
        raise _TransientError("the connection stalled") from error
    except (OSError, HTTPException) as error:
        raise _TransientError(f"the connection broke ({error})") from error


def _open(job: _Job, have: int) -> HTTPResponse | None:
    """Ask for the volume from byte `have`; None when the server has nothing from there."""
    request = urllib.request.Request(job.url, headers={"User-Agent": "mrsim", "Accept-Encoding": "identity"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response: HTTPResponse = urllib.request.urlopen(request, timeout=job.timeout)
        return response
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and have:  # range not satisfiable
            return None
        answer = f"{error.code} {error.reason}"
        if error.code in BUSY:
            raise _TransientError(f"the server answered {answer}") from error
        raise _given_up(job, f"because the server answered {answer}") from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise _given_up(job, f"because its certificate cannot be verified ({error.reason})") from error
        raise _TransientError(str(error.reason)) from error
    except (OSError, HTTPException) as error:
        raise _TransientError(f"the connection broke ({error})") from error
