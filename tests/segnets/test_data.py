"""From the store to batches: noise, coils, scale, fixed masks, and both ways of feeding."""

import numpy as np
import pytest
import torch

from mrsim.sampling import fixed_mask
from mrsim.store import Store, StoreError, open_store
from segnets import feeding
from segnets.data import DataError, data_hash, read_cases, split_indices, undersample
from segnets.feeding import StreamedFeed, open_data, read_ahead, shuffle_through_buffer
from segnets.masks import Lines
from segnets.undersampling import Conditions, Undersampling, evaluation_batches
from tests.stores import SIGNAL, write_test_store


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return str(write_test_store(tmp_path_factory.mktemp("data") / "ellipses.zarr", 9, 3, (24, 32)))


@pytest.fixture(scope="module")
def store(path):
    return open_store(path)


def image_of(kspace):
    axes = (-2, -1)
    return np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(kspace, axes=axes), norm="ortho"), axes=axes)


def test_evaluation_batch_is_noise_then_fixed_mask_then_scale(path, store):
    conditions = Conditions(rate=0.5, noise=0.2, n_center=4)
    batches = list(evaluation_batches(path, "test", conditions, batch_size=2))
    assert [b.index.tolist() for b in batches] == [[24, 25], [26]]
    case, batch = store.case(25), batches[0]
    mask = fixed_mask((24, 32), 0.5, subject=case.subject, slice_index=case.slice, n_center=4)
    measured = case.noisy(0.2)[0] * mask
    scale = np.abs(image_of(measured)).max()
    assert batch.scale[1].item() == pytest.approx(scale, rel=1e-5)
    got = torch.complex(*batch.kspace[1]).numpy()
    assert got == pytest.approx(measured / scale, abs=1e-5)
    assert np.all(got[mask == 0] == 0)
    assert torch.complex(*batch.image[1]).numpy() == pytest.approx(
        image_of(case.noisy(0.2)[0]) / scale, abs=1e-5
    )
    assert np.array_equal(batch.labels[1].numpy(), case.labels) and batch.labels.dtype == torch.int64


def test_scale_does_not_know_what_was_not_measured():
    kspace = torch.randn(1, 8, 10, dtype=torch.complex64)
    mask = torch.zeros(1, 1, 8, 1)
    mask[:, :, 3:5] = 1
    other = kspace.clone()
    other[:, :3] *= 100
    labels, index = torch.zeros(1, 8, 10, dtype=torch.uint8), torch.zeros(1, dtype=torch.int64)
    a, b = (undersample(k, mask, labels, index) for k in (kspace, other))
    assert torch.equal(a.kspace, b.kspace) and torch.equal(a.scale, b.scale)
    empty = undersample(torch.zeros_like(kspace), mask, labels, index)
    assert empty.kspace.isfinite().all() and not empty.kspace.any()


def test_coils_become_one_that_sees_the_object(tmp_path):
    store = open_store(write_test_store(tmp_path / "coils.zarr", 3, 2, (24, 32), n_coils=4))
    cases = read_cases(store, [3, 0], (0.0, 0.1))
    assert cases.kspace.shape == (2, 2, 24, 32) and cases.index.tolist() == [3, 0]
    for i, case in enumerate((3, 0)):
        assert image_of(cases.kspace[0, i].numpy()) == pytest.approx(
            SIGNAL[store.labels([case])[0]], abs=1e-5
        )
    assert not torch.allclose(cases.kspace[0], cases.kspace[1], atol=1e-3)


def test_coils_without_sensitivities_are_refused(tmp_path, monkeypatch):
    store = open_store(write_test_store(tmp_path / "coils.zarr", 3, 1, (24, 32), n_coils=2))
    monkeypatch.setattr(Store, "maps", property(lambda _: ("kspace", "labels", "tissue")))
    with pytest.raises(DataError, match="has 2 coils but no sensitivities"):
        read_cases(store, [0], (0.1,))


def test_missing_split_and_case_with_nan_are_a_sentence(tmp_path, path):
    store = open_store(write_test_store(tmp_path / "two.zarr", 2, 2, (24, 32)))
    with pytest.raises(DataError, match=r"has no test split \(it has: train\)"):
        split_indices(store, "test")
    with pytest.raises(ValueError, match="did you mean 'train'"):
        split_indices(store, "trian")
    with pytest.raises(ValueError, match="n_center must be at most the 2 of 24 lines"):
        next(evaluation_batches(path, "test", Conditions(rate=0.1)))


def test_every_sample_draws_its_own_noise_level_rate_and_mask(store):
    cases = read_cases(store, range(21), (0.0, 0.3))
    sampling = Undersampling(rate=(0.5, 0.75), lines=Lines(n_ky=24, n_center=4))
    batch = sampling.draw(cases, torch.Generator().manual_seed(0))
    lines = batch.mask[:, 0, :, 0]
    assert set(lines.sum(dim=1).tolist()) == {12.0, 18.0}
    assert len({tuple(m) for m in lines.tolist()}) == 21
    clean, noisy = (
        (batch.kspace - b.kspace).abs().amax(dim=(1, 2, 3)) < 1e-6
        for b in (undersample(k, batch.mask, cases.labels, cases.index) for k in cases.kspace)
    )
    assert (clean ^ noisy).all() and 0 < clean.sum() < 21  # each is the one or the other


def contents(batches):
    return [(b.index.tolist(), b.kspace.clone(), b.labels.clone()) for b in batches]


@pytest.mark.parametrize("resident", ["yes", "no"])
def test_an_epoch_serves_every_case_once_with_its_own_data(path, store, resident):
    feed = open_data(path, noise=(0.0, 0.1), resident=resident)
    train = store.indices("train").tolist()
    epochs = [contents(feed.epoch(4, seed=5, epoch=e)) for e in (0, 0, 1)]
    assert feed.n_cases == len(train) and len(epochs[0]) == feed.n_steps(4) == -(-len(train) // 4)
    orders = [[case for index, _, _ in epoch for case in index] for epoch in epochs]
    assert sorted(orders[0]) == sorted(orders[2]) == train
    assert orders[0] == orders[1] != orders[2]
    index, kspace, labels = epochs[0][1]
    for i, case in enumerate(index):
        assert np.array_equal(kspace[1, i].numpy(), store.case(case).noisy(0.1)[0])
        assert np.array_equal(labels[i].numpy(), store.case(case).labels)


@pytest.mark.parametrize(("rank", "world"), [(0, 1), (0, 2), (1, 2)])
def test_both_ways_of_feeding_serve_the_same_batches(path, monkeypatch, rank, world):
    """So `resident` never decides the weights; two shards at a time, to make the buffer run over."""
    monkeypatch.setattr(feeding, "SHARDS_AT_ONCE", 2)
    (whole, streamed) = (
        contents(
            open_data(path, noise=(0.0, 0.1), resident=r).epoch(4, seed=3, epoch=2, rank=rank, world=world)
        )
        for r in ("yes", "no")
    )
    assert [index for index, *_ in whole] == [index for index, *_ in streamed]
    for (_, k, y), (_, other_k, other_y) in zip(whole, streamed, strict=True):
        assert torch.equal(k, other_k) and torch.equal(y, other_y)


@pytest.mark.parametrize("resident", ["yes", "no"])
def test_an_epoch_goes_on_where_it_stopped_and_devices_share_it(path, resident):
    feed = open_data(path, resident=resident, n_cases=18)
    whole = [b.index.tolist() for b in feed.epoch(4, seed=0, epoch=3)]
    assert [b.index.tolist() for b in feed.epoch(4, seed=0, epoch=3, first=2)] == whole[2:]
    assert list(feed.epoch(4, seed=0, epoch=3, first=5)) == []
    parts = [[b.index.tolist() for b in feed.epoch(2, seed=0, epoch=3, rank=r, world=2)] for r in (0, 1)]
    assert [len(p) for p in parts] == [feed.n_steps(2, 2)] * 2 == [5, 5]
    assert sorted(c for p in parts for b in p for c in b) == sorted(c for b in whole for c in b)
    assert sorted(parts[0][0] + parts[1][0]) == sorted(whole[0])  # the same steps as one device would make


def test_shuffle_buffer_reads_each_shard_once_mixes_them_and_stays_small():
    shards = [np.arange(10 * s, 10 * s + 10) for s in range(12)]
    loaded, held, order = [], set(), []
    for draw in shuffle_through_buffer(shards, np.random.default_rng(0)):
        loaded += draw.load
        held |= {int(c) for s in draw.load for c in shards[s]}
        assert len(held) <= feeding.SHARDS_AT_ONCE * 10
        held.remove(draw.case)
        order.append(draw.case)
    assert sorted(loaded) == list(range(12)) and sorted(order) == list(range(120))
    shard = np.array(order) // 10
    assert len(set(shard[:40])) >= feeding.SHARDS_AT_ONCE
    # of neighbours in the order about one pair in SHARDS_AT_ONCE comes from one shard
    assert np.mean(shard[1:] == shard[:-1]) < 2.5 / feeding.SHARDS_AT_ONCE


def test_the_set_is_resident_only_where_it_fits(path, monkeypatch):
    assert "all in the memory of cpu" in open_data(path).summary
    monkeypatch.setattr(feeding, "free_memory", lambda _: 100_000)
    assert isinstance(open_data(path), StreamedFeed)
    assert open_data(path, resident="yes").n_cases == 21


def test_errors_of_the_reading_thread_come_out_and_leaving_stops_it(path, monkeypatch):
    def damaged(*_, **__):
        raise StoreError("kspace of case 3 is missing or holds NaN")

    monkeypatch.setattr(feeding, "read_cases", damaged)
    with pytest.raises(StoreError, match="case 3 is missing or holds NaN"):
        list(open_data(path, resident="no").epoch(4, seed=0, epoch=0))
    produced = []
    ahead = read_ahead((produced.append(i) or i for i in range(1000)), 2)
    assert next(ahead) == 0
    ahead.close()
    assert len(produced) <= 5


def test_fingerprint_follows_content_and_choice(store, tmp_path):
    other = open_store(write_test_store(tmp_path / "other.zarr", 9, 3, (24, 32), seed=1))
    train = store.indices("train")
    assert data_hash(store, train) == data_hash(store, train.copy())
    assert len({data_hash(s, i) for s in (store, other) for i in (train, train[:5])}) == 4
