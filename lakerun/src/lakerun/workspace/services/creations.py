"""Creations whose answer may not have reached the client."""

from __future__ import annotations

from collections.abc import Callable

from lakerun.workspace.store import Store


class CreationService:
    """Deletes what was created by a request that the server did not answer before it died.

    The client would create it again and find its name taken, or leave an orphan that no deployment
    knows. A note is stored in the same transaction and deleted once the answer is sent.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._undo: dict[str, Callable[[str], None]] = {}

    def register(self, kind: str, undo: Callable[[str], None]) -> None:
        """`undo(id)` deletes a document of this kind with all that belongs to it."""
        self._undo[kind] = undo

    def note(self, kind: str, id: str | int) -> None:
        """Call it within the transaction that makes the document."""
        self._store.put("creation", f"{kind}/{id}", {"kind": kind, "id": str(id)})

    def answered(self, kind: str, id: str | int) -> None:
        """The client has its answer."""
        self._store.delete("creation", f"{kind}/{id}")

    def recover(self) -> list[str]:
        """Delete what was never answered; returns kind and id of each."""
        taken_back = []
        for note in self._store.list("creation"):
            with self._store.transaction():
                if self._store.get(note["kind"], note["id"]) is not None:
                    self._undo[note["kind"]](note["id"])
                    taken_back.append(f"{note['kind']} {note['id']}")
                self.answered(note["kind"], note["id"])
        return taken_back
