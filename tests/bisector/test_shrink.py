"""Groups that the search found, made smaller on runs of their own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bisector.shrink import _chunks


@given(st.integers(2, 40), st.integers(2, 6))
def test_chunks_are_neighbours_of_about_the_same_size(members: int, most: int) -> None:
    names = [f"f{i:02}" for i in range(members)]
    chunks = _chunks(names, most)
    assert [name for chunk in chunks for name in sorted(chunk)] == names
    assert len(chunks) == min(most, members)
    assert max(map(len, chunks)) - min(map(len, chunks)) <= 1
