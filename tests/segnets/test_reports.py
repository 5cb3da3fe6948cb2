"""A page of runs: everything is in it, what it says is what was measured, and nothing comes from outside."""

import base64
import io
import json
import re
from html.parser import HTMLParser

import matplotlib.image
import numpy as np
import pytest
from click.testing import CliRunner

from cli.segnets import main
from segnets.config import TrainConfig
from segnets.train import train
from tests.segnets.models.small import config_options
from tests.stores import write_test_store

SHAPE = (32, 32)
NAMES = {"one-step": "one & <only>", "semunet": "learnt", "loupe": "image"}  # a name that must be escaped


class Page(HTMLParser):
    """Links, ids, sources and text of a page; tags that are not closed in order are an error."""

    VOID = ("meta", "br", "img", "line", "path", "circle", "rect", "polyline", "hr", "col")

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.links, self.sources, self.texts, self.tags = [], [], [], [], [], set()
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        values = dict(attrs)
        self.ids += [values["id"]] if "id" in values else []
        self.links += [values["href"]] if "href" in values else []
        self.sources += [values["src"]] if "src" in values else []

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    home = tmp_path_factory.mktemp("report")
    store = str(write_test_store(home / "heads.zarr", 4, 3, SHAPE))
    for name, called in NAMES.items():
        options = {k: v for k, v in config_options(name, SHAPE).items() if k != "rate"}
        values = {"options": options, "epochs": 2, "batch_size": 4, "noise": (0.1,), "rate": (0.3,)}
        run = train(
            TrainConfig.for_model(name, data=store, out=str(home / "runs" / called), n_center=4, **values),
            quiet=True,
        )
        done = CliRunner().invoke(main, ["evaluate", str(run), "--device", "cpu"])
        assert done.exit_code == 0, done.output
    return home / "runs"


@pytest.fixture(scope="module")
def page(folder):
    done = CliRunner().invoke(main, ["report", str(folder)])
    assert done.exit_code == 0, done.output
    return (folder / "report.html").read_text(encoding="utf-8")


def test_page_needs_nothing_else_and_its_links_lead_somewhere(page):
    found = Page(page)
    assert not found.tags & {"script", "link", "iframe", "object"}
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", page)
    assert found.sources and all(source.startswith("data:image/png;base64,") for source in found.sources)
    assert found.links and all(link.startswith("#") for link in found.links)
    assert {link[1:] for link in found.links} <= set(found.ids)
    assert len(set(found.ids)) == len(found.ids)
    assert "<only>" not in page and "one & <only>" in found.texts  # escaped, and read as it was called


def test_page_says_what_was_measured(page, folder):
    texts = [text.strip() for text in Page(page).texts]
    for name, called in NAMES.items():
        (path,) = (folder / called / "evaluation").glob("*/summary.json")
        summary = json.loads(path.read_text())
        assert f"{summary['n_parameters']:,}" in texts
        if name != "loupe":
            assert f"{summary['summary']['dice']['GM']['mean']:.4f}" in texts
        if name != "one-step":
            psnr, zero = (summary["data_and_image"][each] for each in ("psnr", "zero_psnr"))
            words = f"PSNR {psnr:.1f} dB, SSIM .*, of the zero-filled image PSNR {zero:.1f} dB, SSIM "
            assert any(re.search(words, text) for text in texts)
    assert not any("zero_" in text.lower() for text in texts)


def test_sampling_patterns_are_drawn_pixel_by_pixel(page, folder):
    pattern = np.load(folder / "learnt" / "mask.npy")
    drawn = [
        matplotlib.image.imread(io.BytesIO(base64.b64decode(source.split(",")[1])))
        for source in Page(page).sources
    ]
    same = [image for image in drawn if image.shape[:2] == SHAPE]
    assert any(np.array_equal(image[..., 0] > 0.5, pattern > 0) for image in same)


def test_a_folder_without_runs_is_one_sentence(tmp_path):
    done = CliRunner().invoke(main, ["report", str(tmp_path)])
    assert done.exit_code == 1 and len(done.output.strip().splitlines()) == 1
