import hashlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.audit.merkle import Path, Tree, leaf_hash, node_hash, root_by_path

LEAVES = [leaf_hash(bytes([number])) for number in range(70)]


def defined(leaves):
    """The tree's hash as RFC 6962 defines it, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    middle = 1
    while middle * 2 < len(leaves):
        middle *= 2
    return node_hash(defined(leaves[:middle]), defined(leaves[middle:]))


def cut(leaves, cuts):
    edges = sorted({0, len(leaves), *(one for one in cuts if one < len(leaves))})
    return [leaves[start:stop] for start, stop in pairwise(edges)]


SIZES = st.integers(0, 70)
CUTS = st.sets(st.integers(1, 69))


def test_the_published_roots_of_certificate_transparency_are_ours():
    entries = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    tree = Tree(marks=[1, 2, 8])

    tree.extend([leaf_hash(bytes.fromhex(entry)) for entry in entries])

    assert tree.roots[1].hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert tree.roots[2].hex() == "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
    assert tree.roots[8].hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


@given(SIZES, CUTS, st.sets(SIZES))
def test_a_tree_that_grows_in_any_batches_has_the_defined_roots_at_every_size(size, cuts, marks):
    tree = Tree(marks)

    for part in cut(LEAVES[:size], cuts):
        tree.extend(part)

    assert (tree.size, tree.root) == (size, defined(LEAVES[:size]))
    assert tree.roots == {mark: defined(LEAVES[:mark]) for mark in marks if mark <= size}


@given(st.integers(1, 70), st.integers(0, 69), CUTS)
def test_every_path_leads_to_the_root(size, index, cuts):
    index %= size
    path = Path(index, size)

    for part in cut(LEAVES, cuts):  # also leaves that came after the tree had its size
        path.extend(part)

    assert root_by_path(index, size, LEAVES[index], path.hashes) == defined(LEAVES[:size])


@given(st.integers(2, 70), st.integers(0, 69), st.data())
def test_no_other_leaf_place_size_or_path_leads_to_the_root(size, index, data):
    index %= size
    path = Path(index, size)
    path.extend(LEAVES[:size])
    root, hashes = defined(LEAVES[:size]), path.hashes
    changed = data.draw(st.integers(0, len(hashes) - 1))

    assert root_by_path(index, size, leaf_hash(b"another"), hashes) != root
    assert root_by_path((index + 1) % size, size, LEAVES[index], hashes) != root
    assert root_by_path(index, size, LEAVES[index], hashes[:-1]) is None
    assert root_by_path(index, size, LEAVES[index], [*hashes[:changed], bytes(32), *hashes[changed + 1 :]]) != root


@pytest.mark.parametrize(("index", "size"), [(1, 1), (-1, 2), (0, 0)])
def test_a_leaf_that_a_tree_does_not_have_has_no_path(index, size):
    assert root_by_path(index, size, LEAVES[0], []) is None
