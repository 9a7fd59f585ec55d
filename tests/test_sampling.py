import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from georclip.training.sampling import picture_order

groups_of = st.lists(st.sampled_from(["port", "river", "forest", ""]), min_size=1, max_size=80)


@given(groups=groups_of, block=st.integers(0, 9), seed=st.integers(0, 99))
def test_every_picture_comes_once_and_the_seed_repeats(groups, block, seed):
    one = picture_order(groups, np.random.default_rng(seed), block=block)
    two = picture_order(groups, np.random.default_rng(seed), block=block)
    assert sorted(one.tolist()) == list(range(len(groups)))
    assert one.tolist() == two.tolist()


def test_blocks_hold_one_group():
    groups = ["port"] * 40 + ["river"] * 40
    order = picture_order(groups, np.random.default_rng(0), block=8)
    for start in range(0, 80, 8):
        assert len({groups[index] for index in order[start : start + 8]}) == 1
    assert len({groups[index] for index in order[:40]}) == 2  # blocks themselves are shuffled


def test_without_blocks_it_is_a_plain_shuffle():
    rng, same = np.random.default_rng(4), np.random.default_rng(4)
    assert picture_order(["a"] * 9, rng, block=0).tolist() == same.permutation(9).tolist()
