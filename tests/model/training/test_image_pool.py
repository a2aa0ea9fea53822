"""The pool of earlier fakes."""

from __future__ import annotations

import torch

from casgan_dicom.model.training.image_pool import ImagePool


def numbered(first: int, n: int) -> torch.Tensor:
    return torch.arange(first, first + n, dtype=torch.float32).reshape(n, 1, 1, 1)


def pool_of(capacity: int, seed: int = 0) -> ImagePool:
    return ImagePool(capacity, torch.Generator().manual_seed(seed))


def test_until_it_is_full_the_pool_returns_what_it_is_given() -> None:
    pool = pool_of(5)
    for first in (0, 2):
        assert torch.equal(pool.query(numbered(first, 2)), numbered(first, 2))
    assert [int(s) for s in pool.samples] == [0, 1, 2, 3]


def test_a_full_pool_answers_every_second_query_with_an_older_one_and_keeps_the_new() -> None:
    pool, n = pool_of(10), 4000
    pool.query(numbered(0, 10))
    older, lost = 0, 0
    for k in range(10, 10 + n):
        before = {int(s) for s in pool.samples}
        answer = int(pool.query(numbered(k, 1)))
        after = {int(s) for s in pool.samples}
        assert len(after) == 10
        if answer == k:
            assert after == before
        else:
            older += 1
            lost += k - answer
            assert after == before - {answer} | {k}
    # binomial with p = 1/2: five standard deviations are 158
    assert abs(older - n / 2) < 158
    # a sample leaves with p = 1/20 per query: it is 20 queries old on average
    assert 17 < lost / older < 23


def test_capacity_zero_returns_every_batch_unchanged() -> None:
    pool = pool_of(0)
    for first in range(20):
        assert torch.equal(pool.query(numbered(first, 3)), numbered(first, 3))
    assert pool.samples == []


def test_the_pool_keeps_no_graph_and_no_link_to_the_callers_memory() -> None:
    pool = pool_of(4)
    batch = numbered(0, 2).requires_grad_()
    answer = pool.query(2 * batch)
    assert not answer.requires_grad
    kept = numbered(5, 1)
    pool.query(kept)
    kept += 100
    assert [int(s) for s in pool.samples] == [0, 2, 5]


def test_the_same_seed_gives_the_same_answers() -> None:
    first, second = pool_of(3, seed=7), pool_of(3, seed=7)
    for k in range(50):
        assert torch.equal(first.query(numbered(k, 1)), second.query(numbered(k, 1)))


def test_fakes_of_another_size_are_forgotten() -> None:
    """A run that goes from crops to whole frames cannot mix them in one batch."""
    pool = pool_of(4)
    pool.query(torch.zeros(4, 1, 2, 2))

    answer = pool.query(torch.ones(2, 1, 3, 3))

    assert torch.equal(answer, torch.ones(2, 1, 3, 3))
    assert [tuple(sample.shape) for sample in pool.samples] == [(1, 3, 3)] * 2
