"""Publishes a batch to the volume, whole or not at all: `BatchFolder`.

    <volume>/_staging/batch_000003/<entity>/           what Spark writes
    <volume>/manifests/_pending_batch_000003.json      the batch is written, its files are being moved
    <volume>/<entity>_raw/<entity>_b000003_p00000.json
    <volume>/manifests/batch_000003.json               the batch is complete

If a call is killed before there is a pending manifest, the next one removes its staged files; afterwards,
the next one moves the files that are left. Moves are renames, so a reader never sees half a file.
"""

from __future__ import annotations

import shutil
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.config.files import exclusive
from ecommerce_lakehouse.generation.manifest import (
    ORDER_UPDATES,
    GenerationError,
    Manifest,
    manifest_name,
    read_manifest,
)

PENDING = "_pending_"


@dataclass(frozen=True)
class BatchFolder:
    """The folders of the volume that a generator writes; with a `part`, staging and manifests of its own."""

    config: LakehouseConfig
    part: str = ""

    @property
    def manifests(self) -> Path:
        return Path(self.config.manifests_path) / self.part

    @property
    def staging(self) -> Path:
        return Path(self.config.volume_path) / "_".join(filter(None, ("_staging", self.part)))

    def staged(self, batch: int, entity: str) -> Path:
        """Where Spark writes one dataset of a batch."""
        return self.staging / f"batch_{batch:06d}" / entity

    def name_files(self, batch: int, entity: str) -> tuple[str, ...]:
        """Give Spark's part files their final names, in line order, still in the staging folder."""
        folder = self.staged(batch, entity)
        names = []
        for number, part in enumerate(sorted(folder.glob("part-*"))):
            name = f"{entity}_b{batch:06d}_p{number:05d}.json"
            part.rename(folder / name)
            names.append(name)
        return tuple(names)

    def publish(self, manifest: Manifest) -> None:
        """Make a staged batch part of the volume."""
        self.manifests.mkdir(parents=True, exist_ok=True)
        text = manifest.model_dump_json(indent=2) + "\n"
        unfinished = self.staging / manifest_name(manifest.batch)
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(self._pending(manifest.batch))
        self._move(manifest)

    def recover(self) -> None:
        """Complete or remove what an interrupted call left behind."""
        for pending in sorted(self.manifests.glob(f"{PENDING}*.json")):
            manifest = read_manifest(pending)
            if all(staged.exists() or final.exists() for staged, final in self._moves(manifest)):
                self._move(manifest)
            else:  # someone has deleted data since: the batch will be generated again, with the same bytes
                for _, final in self._moves(manifest):
                    final.unlink(missing_ok=True)
                pending.unlink()
        shutil.rmtree(self.staging, ignore_errors=True)

    def exclusive(self) -> AbstractContextManager[None]:
        """Keep a second generator out; raises GenerationError. The lock ends with the process."""
        root = Path(self.config.volume_path)
        busy = GenerationError(f"Another run is generating data in {root}; wait for it to end.")
        return exclusive(root / "_generator.lock", self.config, busy)

    def _pending(self, batch: int) -> Path:
        return self.manifests / f"{PENDING}{manifest_name(batch)}"

    def _move(self, manifest: Manifest) -> None:
        for staged, final in self._moves(manifest):
            if staged.exists():
                final.parent.mkdir(parents=True, exist_ok=True)
                staged.replace(final)
        self._pending(manifest.batch).replace(self.manifests / manifest_name(manifest.batch))
        shutil.rmtree(self.staging, ignore_errors=True)

    def _arrivals(self, dataset: str) -> Path:
        return Path(self.config.source_path("orders" if dataset == ORDER_UPDATES else dataset))

    def _moves(self, manifest: Manifest) -> list[tuple[Path, Path]]:
        return [
            (self.staged(manifest.batch, entity) / name, self._arrivals(entity) / name)
            for entity, dataset in manifest.datasets.items()
            for name in dataset.files
        ]
