import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    SubsetRandomSampler,
    TensorDataset,
    get_worker_info,
)
from torch.utils.data.distributed import DistributedSampler

from hpo.training.loop.batches import cut, place
from hpo.training.loop.loaders import count_steps, read, recut

NUMBERS = TensorDataset(torch.arange(9.0).reshape(9, 1), torch.arange(9))


class Rows(Dataset):
    """The same numbers, sample by sample."""

    def __len__(self):
        return len(NUMBERS)

    def __getitem__(self, row):
        return NUMBERS[row]


def order(split, *arguments):
    return [targets.tolist() for _, targets in read(split, *arguments)]


@given(rows=st.integers(1, 200), batch_size=st.integers(1, 50))
def test_every_row_is_in_one_batch_and_none_stands_alone(rows, batch_size):
    parts = cut(torch.arange(rows), batch_size)
    assert torch.cat(parts).tolist() == list(range(rows))
    assert all(len(part) == batch_size for part in parts[:-1])
    assert len(parts[-1]) <= batch_size + (batch_size > 1)
    assert batch_size == 1 or rows == 1 or len(parts[-1]) > 1


@pytest.mark.parametrize("split", [NUMBERS, Rows()], ids=["tensors", "dataset"])
def test_batches_are_in_order_without_a_seed(split):
    assert order(split, 4) == [[0, 1, 2, 3], [4, 5, 6, 7, 8]]
    assert count_steps(split, 4) == 2


@pytest.mark.parametrize("split", [NUMBERS, Rows()], ids=["tensors", "dataset"])
def test_full_is_a_single_batch(split):
    assert order(split, "full") == [[*range(9)]]
    assert sorted(*order(split, "full", 1)) == [*range(9)]
    assert count_steps(split, "full") == 1


def test_a_batch_may_be_one_sample():
    assert order(NUMBERS, 1) == [[row] for row in range(9)]
    assert count_steps(NUMBERS, 1) == 9


def test_a_seed_alone_decides_the_order():
    orders = [order(NUMBERS, 4, seed) for seed in (1, 1, 2)]
    torch.manual_seed(123)
    assert orders[0] == orders[1] == order(NUMBERS, 4, 1) == order(Rows(), 4, 1)
    assert orders[2] != orders[0]
    assert sorted(row for batch in orders[0] for row in batch) == list(range(9))


def test_shuffling_leaves_other_chance_alone():
    before = torch.get_rng_state()
    order(NUMBERS, 4, 1)
    order(Rows(), 4, 1)
    order(Rows(), 4)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("size", [None, 5])
def test_a_loader_is_used_as_it_is_if_it_has_the_batches_asked_for(size):
    loader = DataLoader(NUMBERS, batch_size=5)
    assert recut(loader, size) is loader
    assert order(loader, size, 1) == [[0, 1, 2, 3, 4], [5, 6, 7, 8]]
    assert count_steps(loader, size) == 2


def test_a_loader_that_is_not_trained_with_cuts_by_itself():
    loader = DataLoader(NUMBERS, batch_size=5)
    assert read(loader, 2) is loader


@pytest.mark.parametrize(("size", "batches"), [(2, 4), (4, 2), (3, 3), ("full", 1), (1, 9)])
def test_a_loader_is_cut_anew_as_data_without_one_are(size, batches):
    loader = DataLoader(NUMBERS, batch_size=5)
    assert order(loader, size, 1) == order(NUMBERS, size)
    assert count_steps(loader, size) == batches


class Stream(IterableDataset):
    def __len__(self):
        return 9

    def __iter__(self):
        yield from Rows()


def test_a_stream_is_cut_anew():
    loader = DataLoader(Stream(), batch_size=5)
    assert order(loader, 4, 1) == [[0, 1, 2, 3], [4, 5, 6, 7], [8]]
    assert order(loader, "full", 1) == [[*range(9)]]
    assert (count_steps(loader, 4), count_steps(loader, "full")) == (3, 1)


def test_a_loader_that_is_cut_anew_reads_as_before():
    def both_doubled(samples):
        return tuple(2 * torch.stack(column) for column in zip(*samples, strict=True))

    sampler = SubsetRandomSampler([7, 1, 3, 5, 8], generator=torch.Generator())
    loader = DataLoader(NUMBERS, 2, sampler=sampler, collate_fn=both_doubled, drop_last=True)
    assert [len(recut(loader, size)) for size in (1, 3, 4, "full")] == [5, 1, 1, 1]
    ((inputs, _),) = read(loader, 4, 1)
    assert inputs.shape == (4, 1)
    assert {*inputs.flatten().tolist()} < {14.0, 2.0, 6.0, 10.0, 16.0}


def test_workers_are_as_many_and_as_patient_as_before():
    loader = DataLoader(NUMBERS, 2, num_workers=1, timeout=30, prefetch_factor=5, persistent_workers=True)
    cut_anew = recut(loader, 4)
    assert (cut_anew.num_workers, cut_anew.timeout, cut_anew.prefetch_factor) == (1, 30, 5)
    assert not cut_anew.persistent_workers


def test_batches_of_a_loaders_own_are_not_cut():
    own = BatchSampler(SequentialSampler(NUMBERS), 3, drop_last=False)
    loader = DataLoader(NUMBERS, batch_sampler=own)
    assert order(loader, None, 1) == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    with pytest.raises(ValueError, match="batch_size=4, but the DataLoader to train on has batches of its"):
        read(loader, 4, 1)


class Doubling(DataLoader):
    def __iter__(self):
        return ((2 * inputs, targets) for inputs, targets in super().__iter__())


def test_nor_are_those_of_a_loader_that_makes_something_of_them():
    loader = Doubling(NUMBERS, 3)
    assert next(inputs.flatten().tolist() for inputs, _ in read(loader, 3, 1)) == [0, 2, 4]
    with pytest.raises(ValueError, match="batch_size=4, but the DataLoader to train on has batches of its"):
        read(loader, 4, 1)


class Sharded(Stream):
    """Each of two workers gives its own half, whose last batch is small."""

    def __iter__(self):
        return iter([*super().__iter__()][get_worker_info().id :: 2])


def test_an_epoch_has_as_many_batches_as_its_length_says():
    loader = DataLoader(Sharded(), 3, num_workers=2)
    assert len(list(loader)) == 4
    assert order(loader, None, 1) == [[0, 2, 4], [1, 3, 5], [6, 8]]
    assert [len(order(loader, size, 1)) for size in (3, 2, "full")] == [3, 5, 1]


def test_an_epoch_of_fewer_batches_than_its_length_says_is_refused():
    class Short(Stream):
        def __iter__(self):
            return iter([NUMBERS[row] for row in range(4)])

    with pytest.raises(ValueError, match="gave 2 batches, but its length says 5"):
        order(DataLoader(Short(), 2), None, 1)


def test_a_loader_of_fewer_samples_than_a_batch_is_refused():
    for split in (NUMBERS, DataLoader(NUMBERS, 2), DataLoader(Stream(), 2)):
        with pytest.raises(ValueError, match="batch_size=10, but there are 9 samples to train on"):
            count_steps(split, 10)


def test_where_nothing_is_said_batches_have_64_samples():
    rows = TensorDataset(torch.arange(130), torch.arange(130))
    assert [len(batch) for batch in order(rows, None)] == [64, 64, 2]
    assert count_steps(NUMBERS, None) == 1


def test_a_loaders_own_chance_is_seeded():
    loader = DataLoader(NUMBERS, batch_size=5, shuffle=True, generator=torch.Generator())
    assert order(loader, 5, 7) == order(loader, 5, 7) != order(loader, 5, 8)


def sampled():
    return RandomSampler(NUMBERS, generator=torch.Generator())


@pytest.mark.parametrize("size", [5, 4])
def test_so_is_that_of_its_sampler(size):
    loader = DataLoader(NUMBERS, 5, sampler=sampled())
    assert order(loader, size, 7) == order(loader, size, 7) != order(loader, size, 8)


def test_so_is_that_of_what_makes_its_batches():
    loader = DataLoader(NUMBERS, batch_sampler=BatchSampler(sampled(), 5, drop_last=False))
    assert order(loader, None, 7) == order(loader, None, 7) != order(loader, None, 8)


@pytest.mark.parametrize("size", [5, 4])
def test_what_orders_by_the_epoch_is_told_which_it_is_from_0(size):
    loader = DataLoader(NUMBERS, 5, sampler=DistributedSampler(NUMBERS, num_replicas=1, rank=0))
    orders = [order(loader, size, 7, epoch) for epoch in (1, 2, 1)]
    assert orders[0] == orders[2] != orders[1]
    loader.sampler.set_epoch(1)
    assert [row for batch in orders[1] for row in batch] == [*loader.sampler]


def test_so_is_a_stream():
    class Growing(Stream):
        def set_epoch(self, epoch):
            self.first = epoch

        def __iter__(self):
            return iter([NUMBERS[(self.first + row) % 9] for row in range(9)])

    assert order(DataLoader(Growing(), 9), None, 7, 3) == [[2, 3, 4, 5, 6, 7, 8, 0, 1]]


class Chance(Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, row):
        return torch.zeros(1), torch.rand(1)


def test_so_is_that_of_workers_which_were_to_stay():
    loader = DataLoader(Chance(), 2, num_workers=1, persistent_workers=True, generator=torch.Generator())
    assert order(loader, None, 7) == order(loader, None, 7) != order(loader, None, 8)


def test_only_data_in_memory_is_placed():
    loader = DataLoader(NUMBERS)
    assert place(loader, "cpu") is loader
    assert place(NUMBERS, "meta").tensors[0].device.type == "meta"


def test_data_that_is_mapped_from_a_file_is_not_copied(tmp_path):
    torch.save(NUMBERS.tensors, tmp_path / "numbers.pt")
    mapped = TensorDataset(*torch.load(tmp_path / "numbers.pt", mmap=True))
    placed = place(mapped, "cpu")
    assert [it.data_ptr() for it in placed.tensors] == [it.data_ptr() for it in mapped.tensors]
    rows, numbers = next(iter(read(placed, 9)))
    assert (rows, numbers) == (pytest.approx(NUMBERS.tensors[0]), pytest.approx(NUMBERS.tensors[1]))


@pytest.mark.parametrize(("free", "stays"), [(2 * 4800 - 1001, True), (2 * 4800 - 1000, False)])
def test_data_that_leave_no_room_on_a_gpu_stay_where_they_are(free, stays, monkeypatch, make_gpu):
    """4800 bytes here; of what is free, with the 1000 that torch has put by, half is for training."""
    make_gpu(free, 10**6, reserved=1500, allocated=500)
    monkeypatch.setattr(torch.Tensor, "to", lambda tensor, device: torch.empty_like(tensor, device="meta"))
    split = TensorDataset(torch.zeros(100, 10), torch.zeros(100, dtype=torch.int64))
    placed = place(split, "cuda")
    assert (placed is split) == stays
    assert placed.tensors[0].device.type == ("cpu" if stays else "meta")
