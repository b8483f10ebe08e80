"""Undoes creations whose answer may not have reached the client."""

from __future__ import annotations

from collections.abc import Callable

from lakerun.workspace.store import Store


class CreationService:
    """Deletes objects if the server stopped before it answered the requests that created them.

    The client would create such an object again and find its name taken, or leave an orphan that no
    deployment knows. A note is stored in the object's transaction and deleted once the answer is sent.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._undo: dict[str, Callable[[str], None]] = {}

    def register(self, kind: str, undo: Callable[[str], None]) -> None:
        """`undo(id)` deletes a document of this kind with everything that belongs to it."""
        self._undo[kind] = undo

    def note(self, kind: str, id: str | int) -> None:
        """Note a creation; called in the transaction that creates the document."""
        self._store.put("creation", f"{kind}/{id}", {"kind": kind, "id": str(id)})

    def answered(self, kind: str, id: str | int) -> None:
        """Delete the note of a creation whose answer was sent."""
        self._store.delete("creation", f"{kind}/{id}")

    def recover(self) -> list[str]:
        """Delete the objects whose creation was not answered; returns the kind and id of each."""
        undone = []
        for note in self._store.list("creation", newest_first=True):  # a schema after the volumes in it
            with self._store.transaction():
                if self._store.get(note["kind"], note["id"]) is not None:
                    self._undo[note["kind"]](note["id"])
                    undone.append(f"{note['kind']} {note['id']}")
                self.answered(note["kind"], note["id"])
        return undone
