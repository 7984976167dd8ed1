"""Merkle trees over a log's messages (RFC 6962, section 2.1), grown batch by batch in memory of a few hashes. Pure."""

from collections.abc import Collection, Sequence
from hashlib import sha256

HASH_BYTES = 32


def leaf_hash(content: bytes) -> bytes:
    """The hash of a leaf."""
    return sha256(b"\0" + content).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees together."""
    return sha256(b"\1" + left + right).digest()


class Tree:
    """A tree that grows at its end; `roots` are its roots at the sizes that were asked for before it grew past them."""

    def __init__(self, marks: Collection[int] = ()) -> None:
        self.size = 0
        self.roots: dict[int, bytes] = {}
        self._marks = sorted(set(marks), reverse=True)
        self._full: list[
            bytes | None
        ] = []  # at place n the root of the last full subtree of 2**n leaves, if it is alone
        self._note()

    @property
    def root(self) -> bytes:
        """The root over all leaves so far."""
        root: bytes | None = None
        for full in self._full:
            if full is not None:
                root = full if root is None else node_hash(full, root)
        return sha256(b"").digest() if root is None else root

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Adds the hashes of leaves."""
        done = 0
        while self._marks and self._marks[-1] <= self.size + len(leaves) - done:
            following = done + self._marks[-1] - self.size
            self._append(leaves[done:following])
            self._note()
            done = following
        self._append(leaves[done:])

    def _append(self, leaves: Sequence[bytes]) -> None:
        self.size += len(leaves)
        carried, level = list(leaves), 0
        while carried:
            if level == len(self._full):
                self._full.append(None)
            waiting = self._full[level]
            if waiting is not None:
                carried.insert(0, waiting)
            self._full[level] = carried.pop() if len(carried) % 2 else None
            carried = [node_hash(left, right) for left, right in zip(carried[::2], carried[1::2], strict=True)]
            level += 1

    def _note(self) -> None:
        while self._marks and self._marks[-1] == self.size:
            self.roots[self._marks.pop()] = self.root


class Path:
    """The audit path of one leaf in a tree of a size, while the leaves go by (RFC 6962, section 2.1.1)."""

    def __init__(self, index: int, size: int) -> None:
        assert 0 <= index < size
        self._beside = [(start, stop, Tree()) for start, stop in _ranges_beside(index, size)]
        self._seen = 0

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Takes the hashes of the leaves that follow."""
        for start, stop, tree in self._beside:
            tree.extend(leaves[max(start - self._seen, 0) : max(stop - self._seen, 0)])
        self._seen += len(leaves)

    @property
    def hashes(self) -> list[bytes]:
        """The path, from the leaf's sibling to the root's child; every leaf must have gone by."""
        assert all(tree.size == stop - start for start, stop, tree in self._beside)
        return [tree.root for _, _, tree in self._beside]


def root_by_path(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> bytes | None:
    """The root that a path leads to; None when it is no path of this leaf in a tree of this size."""
    sides = _ranges_beside(index, size) if 0 <= index < size else None
    if sides is None or len(sides) != len(path):
        return None
    root = leaf
    for (start, _), beside in zip(sides, path, strict=True):
        root = node_hash(root, beside) if start > index else node_hash(beside, root)
    return root


def _ranges_beside(index: int, size: int) -> list[tuple[int, int]]:
    """The subtrees beside the way from a leaf to the root, the smallest first."""
    start, stop = 0, size
    beside = []
    while stop - start > 1:
        middle = start + (1 << (stop - start - 1).bit_length() - 1)
        if index < middle:
            beside.append((middle, stop))
            stop = middle
        else:
            beside.append((start, middle))
            start = middle
    return beside[::-1]
