"""Metadata documents in a store: only this file loads, writes and deletes them.

Rules of this file:

* A node is an array (``Layout``) or a group (``GroupLayout``). Its format names its documents, one
  or two, and parses and writes them.
* The document that makes a node visible is written last and deleted first, so that a reader never
  finds an incomplete node.
* Attributes may be in a separate document. Each document is compared and swapped on its own, so
  that no update is lost in a store that has only compare-and-swap.
* An update is a patch, applied to the current document in the store, so that a handle with an old
  copy cannot undo the changes of others. Members that it does not change are written exactly as
  they were read, because the program that wrote them may not understand another form.
* Several documents are requested together, so that a store that can fetch many at once does.
* An error of a document names the store: ``put_into`` completes those of other files.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import filterfalse, repeat
from operator import is_not
from typing import TYPE_CHECKING, Any, NamedTuple

from fastzarr import errors
from fastzarr.config import config
from fastzarr.engine.requests import gather
from fastzarr.metadata import formats, parsed
from fastzarr.metadata import json as document
from fastzarr.metadata.layout import GroupLayout, Layout
from fastzarr.nodes.claims import mark_of
from fastzarr.nodes.held import gone, held
from fastzarr.nodes.implied import implied_at
from fastzarr.stores.base import Store
from fastzarr.stores.capabilities import Request
from fastzarr.stores.turns import take

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from fastzarr.metadata.format import Format
    from fastzarr.nodes.claims import Claim
    from fastzarr.stores.capabilities import Draft, Prepared

Node = Layout | GroupLayout

# What one broken member raises: invalid documents, links that lead out of the store, files that may
# not be read. Other errors, such as those of a connection, concern the store.
BROKEN = (errors.MetadataError, errors.KeyValidationError, PermissionError, IsADirectoryError)


def join(path: str, name: str) -> str:
    """Return the path or key ``name`` below the path of a node."""
    return f"{path}/{name}" if path else name


def put_into(error: errors.MetadataError, store: Store, root: str = "") -> None:
    """Put the store of the document into an error, unless it has one.

    ``root`` is the path of the store's root in the user's store, which the error lacks.
    """
    if not error.store:
        error.store = str(store)
        if root and error.where:
            error.where = join(root, error.where)
            error.args = (join(root, error.args[0]),)


def load(
    store: Store, path: str, format: Format | None = None, *, root: str = "", implied: bool = True
) -> Node | None:
    """Return the node at a path, of one format or of the first that has one; None if missing.

    ``root`` is the path of the store's root in errors; ``implied`` is whether a folder without a
    document may be the node.
    """
    try:
        sought = (format,) if format else formats.sought(formats.FORMATS, store.zarr_format)
        found = _found(store, path, sought, root)
        if found is not None:
            return parsed.parse(*found, path, store.dimension_separator)
        for each in sought if implied else ():
            if each.has_implied_groups:
                return implied_at(store, path, each)
    except errors.MetadataError as error:
        put_into(error, store, root)
        raise
    return None


def _found(
    store: Store, path: str, sought: tuple[Format, ...], root: str
) -> tuple[Format, dict[str, bytes]] | None:
    """Return the format and the documents of the node at a path, or None if there is none.

    Where requests wait for a server, those of an array and of a group are sent together: one is in
    vain, and a group comes one wait earlier. The other documents are older than these, and are
    requested after them.
    """
    known: dict[str, bytes | None] = {}
    start = f"{path}/" if path else ""
    if store.get_small is not None:
        groups: Any = formats.searched(sought)
        if path:
            groups = [[start + name for name in group] for group in groups]
        known = store.get_small(groups)
    for each in sought:
        if store.concurrency != 1 and not store.knows_sizes and len(names := each.visible) > 1:
            data = _request(store, [start + name for name in names], root)
            known = {start + name: data.get(at) for at, name in enumerate(names)}
        for name, others in each.searched:
            found: dict[str, bytes] = {}
            for one in (name, *others):
                key = start + one
                value = known[key] if key in known else store.get_checked(key, document.check_size)
                if value is not None:
                    found[one] = value
                elif not found:
                    break
            if found:
                return each, found
    return None


def load_array(store: Store, path: str, format: Format | None = None) -> Layout:
    """Return the array at a path, of one format or of the first that has a node.

    Raise ``ArrayNotFoundError`` if it is missing, and ``NodeTypeValidationError`` for a group.
    """
    found = load(store, path, format)
    if isinstance(found, Layout):
        return found
    if found is not None:
        msg = f"{'/' + path!r} in {store} is a group, not an array"
        raise errors.NodeTypeValidationError(msg)
    msg = f"no array at {'/' + path!r} in {store}"
    raise errors.ArrayNotFoundError(msg)


def load_told(
    store: Store, path: str, format: Format, *, root: str = ""
) -> tuple[Hashable | None, Node | None]:
    """Return the token of an array's document, and the node that it describes; one request.

    Attributes in a document of their own are not read. Both are None if the document is missing,
    and in a store that does not answer with tokens, or for which nothing waits. ``root`` is the
    path of the store's root in errors.
    """
    if store.concurrency == 1 or getattr(store.fetch, "__func__", None) is Store.fetch:
        return None, None
    name = format.names("array")[-1]
    most = config.flat["limits.document_bytes"] + 1
    ((_, value),) = store.fetch((Request(join(path, name), 0, most),))
    if value is None or value.token is None:
        return None, None
    data = value.data if type(value.data) is bytes else bytes(value.data)
    try:
        document.check_size(len(data) if value.size is None else value.size, join(path, name))
        own = store.dimension_separator
        return value.token, parsed.parse(format, {name: data}, path, own)
    except errors.MetadataError as error:
        put_into(error, store, root)
        raise


def load_many(
    store: Store, paths: Sequence[str], format: Format | None = None, *, root: str = ""
) -> dict[str, Node]:
    """Return, by path, the nodes at those paths that have one.

    They are of one format, or of the first that has one. The documents of all paths are requested
    together. ``root`` is the path of the store's root in the result.
    """
    nodes: dict[str, Node] = {}
    try:
        found = documents_of(store, paths, format, root)
        for path in paths:
            if path in found:
                each, documents = found[path]
                named = join(root, path).rstrip("/") if root else path
                nodes[named] = parsed.parse(each, documents, named, store.dimension_separator)
    except errors.MetadataError as error:
        put_into(error, store)
        raise
    return nodes


def documents_of(
    store: Store, paths: Sequence[str], format: Format | None, root: str = ""
) -> dict[str, tuple[Format, dict[str, bytes]]]:
    """Return, by path but in any order, the format and the documents of each node."""
    found: dict[str, tuple[Format, dict[str, bytes]]] = {}
    missing = paths
    sought = (format,) if format else formats.sought(formats.FORMATS, store.zarr_format)
    for each in sought:
        for name, others in each.searched:
            if not missing:
                break
            data = _request(store, [f"{path}/{name}" if path else name for path in missing], root)
            for at, value in data.items():
                found[missing[at]] = each, {name: value}
            for other in others if data else ():
                there = [missing[at] for at in data]
                beside = _request(store, [join(path, other) for path in there], root)
                for at, value in beside.items():
                    found[there[at]][1][other] = value
            missing = list(filterfalse(found.__contains__, missing))
    return found


def occupant(store: Store, path: str, *, root: str = "") -> Node | None:
    """Return the node at a path as ``load`` does, but request the documents of all formats at once.

    This suits a path that is most likely free. ``root`` is the path of the store's root in errors.
    """
    if store.is_missing(path):
        return None
    sought = formats.sought(formats.FORMATS, store.zarr_format)
    names, start = formats.visible(sought), f"{path}/" if path else ""
    try:
        found = _request(store, list(map(start.__add__, names)), root)
        values = {names[at]: data for at, data in found.items()}
        for each in sought:
            for name, others in each.searched:
                if name in values:
                    more = _request(store, list(map(start.__add__, others)), root)
                    beside = {others[at]: data for at, data in more.items()}
                    whole, named = {name: values[name]} | beside, join(root, path)
                    return parsed.parse(each, whole, named, store.dimension_separator)
        for each in sought if path else ():
            if each.has_implied_groups:
                return implied_at(store, path, each)
    except errors.MetadataError as error:
        put_into(error, store)
        raise
    return None


def _request(store: Store, keys: Sequence[str], root: str = "") -> dict[int, bytes]:
    """Return the documents by the indexes of their keys, which need not be in order.

    A document that is too large is not read whole.
    """
    found: dict[int, bytes] = {}
    if store.knows_sizes:
        # Such a store refuses a document before it reads any of it, and has little to gain from
        # requests that come together.
        def check(size: int, key: str) -> None:
            document.check_size(size, join(root, key))

        for index, key in enumerate(keys):
            data = store.get_checked(key, check)
            if data is not None:
                found[index] = data
        return found
    # One byte more than the limit is enough to refuse a document.
    most = config.flat["limits.document_bytes"] + 1
    wanted = list(map(Request, keys, repeat(0), repeat(most)))
    if not wanted:
        return found
    one = len(wanted) < 2 or store.concurrency == 1
    for index, value in store.fetch(wanted) if one else gather(store, wanted):
        if value is not None:
            data = value.data if type(value.data) is bytes else bytes(value.data)
            size = len(data) if value.size is None else value.size
            if size >= most:
                document.check_size(size, join(root, keys[index]))
            found[index] = data
    return found


def save(store: Store, path: str, node: Node) -> None:
    """Write all documents of a node, replacing those at the path."""
    documents = node.format.write(node)
    for name in node.format.names(node.node_type):
        if name in documents:
            store.set(join(path, name), document.dumps(documents[name], name))
    separate = node.format.separate_attributes
    if separate is not None and separate not in documents:
        store.delete(join(path, separate))


def save_drafted(draft: Draft[Store], node: Node) -> None:
    """Write the documents of the root of a new draft, in which there are none."""
    put = getattr(draft, "put", None) or draft.store.set
    for name, content in node.format.write(node).items():
        put(name, document.dumps(content, name))


def create(store: Store, path: str, node: Node) -> bool:
    """Write the documents of a new node; return False if another writer created one first.

    If several writers call this at once, exactly one succeeds, provided that the store supports
    compare-and-swap.
    """
    documents = node.format.write(node)
    *_, last = node.format.names(node.node_type)
    key, data = join(path, last), document.dumps(documents[last], last)
    separate = node.format.separate_attributes
    if separate is not None:
        attributes = documents.get(separate)
        new = None if attributes is None else document.dumps(attributes, separate)
        return _create_both(store, key, data, join(path, separate), new)
    return _create_one(store, key, data) if store.swap is None else store.swap(key, data, None)


def _create_one(store: Store, key: str, data: bytes) -> bool:
    turn = store.turn(key)
    try:
        return turn.get() is None and turn.put(data)
    finally:
        turn.end()


def _create_both(store: Store, key: str, data: bytes, beside: str, new: bytes | None) -> bool:
    """Write the document of attributes, or remove it if ``new`` is None, then the document ``key``.

    Attributes without a node are the remains of a writer that died, and are replaced. Those of
    another writer that creates the node at the same time are put back if that writer is first.
    """
    turn = store.turn(key)
    try:
        if turn.get() is not None:
            return False
        other = store.turn(beside)
        try:
            while (old := other.get()) != new:
                # Checked after the attributes were read: if the node exists by now, they are its
                # own.
                if store.exists(key):
                    return False
                if other.put(new):
                    break
        finally:
            other.end()
        if turn.put(data):
            return True
    finally:
        turn.end()
    if old != new:
        store.change(beside, lambda now: old if now == new else now)
    return False


class Where(NamedTuple):
    """The place of a node that is held for a change."""

    #: The store, and the path of the node in it.
    store: Store
    root: str
    #: The path of the node in the user's store.
    path: str
    #: The claim under which the shape is changed, in a store that keeps nobody out.
    claim: Claim | None = None


def update(
    store: Store,
    path: str,
    patch: Callable[[Node], Node],
    synchronizer: Any = None,
    format: Format | None = None,
) -> Node:
    """Hold a node, apply a patch to it as ``update_held`` does, and return the result.

    Raise ``PathNotFoundError`` if the node is missing, or is deleted meanwhile.
    """
    with held(store, path) as (inside, root):
        return update_held(Where(inside, root, path), patch, synchronizer, format)


def update_held(
    node: Where,
    patch: Callable[[Node], Node],
    synchronizer: Any = None,
    format: Format | None = None,
    then: Callable[[Any], None] | None = None,
    before: Callable[[Any, Prepared | None], None] | None = None,
    kept: dict[str, Any] | None = None,
) -> Node:
    """Apply a patch to the node as it is in the store now, write it and return the result.

    If nodes of several formats have the same path, the one of ``format`` is patched.

    Writers take turns, so that no update is lost. ``patch`` may be called more than once.
    ``before`` is called with the result before that is stored, unless it is what the store has, and
    with its document if that is prepared in a file.
    ``then`` is called with the result before the turn ends. ``synchronizer`` is the user's; its
    lock for the document is held as well. ``kept`` has the document that the caller has stored
    last: it need not be read again where the store compares and swaps, unless ``before`` is passed
    and the document is not claimed.

    Raise ``PathNotFoundError`` if the node is missing.
    """
    # The format that was passed comes first.
    own = (format,) if format else formats.sought(formats.FORMATS, node.store.zarr_format)
    for each in sorted(formats.FORMATS, key=partial(is_not, format)):
        for name in each.visible:
            change = _Change(node, each, name, patch, before, then)
            change.may_be_implied = each.has_implied_groups and each in own
            with ExitStack() as locks:
                if synchronizer is not None:
                    locks.enter_context(synchronizer[join(node.path, name)])
                    if each.separate_attributes is not None:
                        # zarr-python 2 takes only this lock to change attributes.
                        key = join(node.path, each.separate_attributes)
                        locks.enter_context(synchronizer[key])
                # Under a claim, nothing that ``before`` depends on has changed since.
                alone = before is None or node.claim is not None
                alone = alone and each.separate_attributes is None
                take(
                    node.store.turn(join(node.root, name)),
                    change,
                    change.begin if before else None,
                    change.end if then else None,
                    kept if alone else None,
                )
            if change.result is not None:
                return change.result
    raise gone(node.store, node.path)


class _Change:
    """A change of the document that makes a node visible, called with its key locked."""

    may_be_implied = False

    def __init__(
        self,
        where: Where,
        format: Format,
        name: str,
        patch: Callable[[Node], Node],
        before: Callable[[Any, Prepared | None], None] | None,
        then: Callable[[Any], None] | None,
    ) -> None:
        self.store, self.root, self.path, self.claim = where
        self.format, self.name = format, name
        self.patch, self.before, self.then = patch, before, then
        self.result: Node | None = None
        # Whether separate attributes are written: a repeated call must not patch them again.
        self.done = False

    def __call__(self, data: bytes | None) -> bytes | None:
        if data is None and not self._is_implied():
            return None
        if self.claim is not None and data is not None:
            self.claim.verify(data)
        found = {} if data is None else self._loads(data, self.name)
        separate = self.format.separate_attributes
        if separate is None:
            latest = self._parse({self.name: found})
            self.result = self.patch(latest)
        else:
            latest, self.result = self._change_attributes(found, separate)
        before = self.format.write(latest)[self.name]
        after = self.format.write(self.result)[self.name]
        if isinstance(latest, Layout) and latest.repaired is not None:
            # Any change stores them as they are read.
            before = {name: before[name] for name in before.keys() - latest.repaired.members.keys()}
            self.result = self.result.with_members(repaired=None)
        if document.alike(after, before):
            return data
        new = document.dumps(self._patched(found, after, before), self.name)
        if self.claim is None:
            return new + mark_of(data or b"")
        # A claim is given back with the change that it was for, unless more is to be done.
        return new + self.claim.mark_after(data or b"", given_back=self.then is None)

    def begin(self, document: Prepared | None) -> None:
        """Do what must be done before the new document is stored."""
        if self.before is not None and self.result is not None:
            self.before(self.result, document)

    def end(self) -> None:
        """Do what remains to be done in the same turn."""
        if self.then is not None and self.result is not None:
            self.then(self.result)

    def _is_implied(self) -> bool:
        """Whether the node is a group without a document, which its first change gets."""
        # A folder that is held open exists, and may be empty.
        sure = self.path and not self.root
        there = sure or (self.may_be_implied and implied_at(self.store, self.root, self.format))
        return self.may_be_implied and bool(there)

    def _loads(self, data: bytes, name: str) -> dict[str, Any]:
        try:
            return document.loads(data, join(self.path, name))
        except errors.MetadataError as error:
            put_into(error, self.store)
            raise

    def _parse(self, documents: dict[str, Any]) -> Node:
        try:
            separator = self.store.dimension_separator
            if separator is not None:
                documents = dict(self.format.completed(documents, separator))
            node: Node = self.format.parse(documents, partial(join, self.path))
        except errors.MetadataError as error:
            put_into(error, self.store)
            raise
        return node

    def _patched(
        self, found: dict[str, Any], doc: dict[str, object], before: dict[str, object]
    ) -> dict[str, object]:
        """Return the new document, in which unchanged members are exactly as in ``found``."""
        same = document.alike_members(doc, before) & found.keys()
        # The JSON of a fill value depends on that of the data type.
        pair = {self.format.data_type, "fill_value"}
        if not pair <= same:
            same -= pair
        return {name: found[name] if name in same else value for name, value in doc.items()}

    def _change_attributes(self, found: dict[str, Any], name: str) -> tuple[Node, Node]:
        """Write the patched attributes to their document; return the node before and after.

        They are compared and replaced in their own turn, because the comparison of the other
        document does not protect them if that document stays as it is.
        """
        turn = self.store.turn(join(self.root, name))
        try:
            while True:
                data = turn.get()
                attributes = {} if data is None else self._loads(data, name)
                latest = self._parse({self.name: found, name: attributes})
                patched = self.patch(latest)
                if self.done:
                    return latest, replace(patched, attributes=latest.attributes)
                before = self.format.write(latest).get(name)
                after = self.format.write(patched).get(name)
                if after is None:
                    # A document without attributes stays.
                    new = None if attributes else data
                elif before is not None and document.alike(after, before):
                    new = data
                else:
                    new = document.dumps(self._patched(attributes, after, before or {}), name)
                if new == data:
                    return latest, patched
                if turn.put(new):
                    self.done = True
                    return latest, patched
        finally:
            turn.end()


def delete(store: Store, path: str) -> bool:
    """Delete a node and all nodes below it, atomically or its visible documents first.

    Return False if the store has found nothing, because another writer was first.
    """
    if not path or store.draft is None:
        known = formats.visible(formats.sought(formats.FORMATS, store.zarr_format))
        names = {join(path, name): name in known for name in formats.visible()}
        # A store of other formats may refuse a name that it does not know.
        store.delitems([key for key, sure in names.items() if sure or store.exists(key)])
    if path:
        # If the documents were deleted before, there may be nothing left.
        return store.delete_dir(path) is not False or store.draft is None
    store.clear()
    return True
