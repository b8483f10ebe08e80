"""The scan of an erasure finds a person in each kind of file, and nobody where nobody is."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import sqlite3
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.orc as orc
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from ecommerce_lakehouse.privacy.needles import RECORD, Needles
from ecommerce_lakehouse.privacy.scan import Finding, scan

ID = "C000042"
ADDRESS = "ada.l+shop@example.com"
NEEDLES = Needles({ID: "customer_id", ADDRESS: "contact", "O00000017": RECORD})


def parquet(path: Path, column: pa.Array, **options: object) -> None:
    pq.write_table(pa.table({"n": list(range(len(column))), "x": column}), path, **options)


def database(path: Path, *, deleted: bool = False) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA secure_delete = OFF")
        db.execute("CREATE TABLE events (body TEXT)")
        db.execute("INSERT INTO events VALUES (?)", (json.dumps({"message": f"of {ID}"}),))
        db.commit()
        if deleted:
            db.execute("DELETE FROM events")
            db.commit()


def archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("inner/a.txt", f"x\n{ID}\n")


def tape(path: Path) -> None:
    data = gzip.compress(ID.encode())
    with tarfile.open(path, "w") as opened:
        member = tarfile.TarInfo("a.gz")
        member.size = len(data)
        opened.addfile(member, io.BytesIO(data))


def compressed(codec: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with pa.CompressedOutputStream(str(path), codec) as out:
            out.write(f"a {ID} b".encode() * 3)

    return write


def lz4_blocks(path: Path) -> None:
    plain = b"\x07" + f"key {ID} value ".encode() * 9
    packed = pa.Codec("lz4_raw").compress(plain, asbytes=True)
    header = (
        b"LZ4Block" + bytes([0x25]) + len(packed).to_bytes(4, "little") + len(plain).to_bytes(4, "little")
    )
    path.write_bytes(header + bytes(4) + packed)


PLANTED: dict[str, Callable[[Path], object]] = {
    "text.log": lambda p: p.write_text(f"order of {ID}: late\n"),
    "line.json": lambda p: p.write_text(json.dumps({"customer_id": ID}) + "\n"),
    "escaped.json": lambda p: p.write_text('{"customer_id": "C0000\\u0034\\u0032"}\n{"a": 1}\n'),
    "nested.json": lambda p: p.write_text(json.dumps({"stats": json.dumps({"min": {"x": f"\n{ID}"}})})),
    "table.csv": lambda p: p.write_text(f"id,mail\n1,{ADDRESS.upper()}\n"),
    "latin.txt": lambda p: p.write_bytes(b"\xe9\xff " + ID.encode() + b" \xfe"),
    "wide.txt": lambda p: p.write_text(f"name {ID}", encoding="utf-16"),
    "wide_big.txt": lambda p: p.write_bytes(b"\x00" + f"name {ID}".encode("utf-16-be")),
    "plain.bin": lambda p: p.write_bytes(b"\x00\x01\x02" + ID.encode() + b"\x00"),
    "gz.json.gz": lambda p: p.write_bytes(gzip.compress(ID.encode())),
    "twice.gz": lambda p: p.write_bytes(gzip.compress(b"a\n") + gzip.compress(ID.encode())),
    "b.bz2": lambda p: p.write_bytes(bz2.compress(ID.encode())),
    "x.xz": lambda p: p.write_bytes(lzma.compress(ID.encode())),
    "z.zst": compressed("zstd"),
    "l.lz4": compressed("lz4"),
    "1.delta": lz4_blocks,
    "a.zip": archive,
    "a.tar": tape,
    "text.parquet": lambda p: parquet(p, pa.array(["a", f"see {ID}."])),
    "dictionary.parquet": lambda p: parquet(p, pa.array(["a", ID] * 500).dictionary_encode()),
    "zstd.parquet": lambda p: parquet(p, pa.array(["a", ID]), compression="zstd"),
    "binary.parquet": lambda p: parquet(p, pa.array([b"\xff", json.dumps({"customer_id": ID}).encode()])),
    "struct.parquet": lambda p: parquet(p, pa.array([{"a": {"b": [ADDRESS, None]}}])),
    "map.parquet": lambda p: parquet(p, pa.array([[(ID, 1)]], pa.map_(pa.string(), pa.int64()))),
    "key.parquet": lambda p: parquet(p, pa.array(["O00000017"])),
    "metadata.parquet": lambda p: pq.write_table(
        pa.table({"n": [1]}).replace_schema_metadata({"made by": ID}), p
    ),
    "t.orc": lambda p: orc.write_table(pa.table({"x": ["a", ID]}), p),
    "t.feather": lambda p: feather.write_feather(pa.table({"x": ["a", ID]}), p, compression="lz4"),
    "state.db": database,
    "deleted.db": lambda p: database(p, deleted=True),
    f"{ID}.json": lambda p: p.write_text("{}"),
    "link": lambda p: p.symlink_to(f"/nowhere/{ID}/x"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_person_is_found_in_this_kind_of_file(name: str, tmp_path: Path) -> None:
    PLANTED[name](tmp_path / name)
    found = scan(tmp_path, NEEDLES)
    assert [file.path for file in found.files] == [name]
    assert {finding.path for finding in found.findings} == {name}
    assert all(finding.kinds for finding in found.findings)
    assert not found.clean
    # Nobody else is there.
    assert scan(tmp_path, Needles({"C000043": "customer_id", "l+shop@example.com": "contact"})).clean


def test_a_delta_table_is_read_in_all_its_parts(tmp_path: Path) -> None:
    table = tmp_path / "t"
    write_deltalake(str(table), pa.table({"id": [ID, "C000043"]}))
    write_deltalake(str(table), pa.table({"id": ["C000044"]}), mode="append")
    DeltaTable(str(table)).delete(f"id = '{ID}'")
    DeltaTable(str(table)).create_checkpoint()
    found = scan(tmp_path, NEEDLES)
    assert {(Path(f.path).suffix, f.where) for f in found.findings} == {
        (".parquet", "footer"),
        (".parquet", "id"),  # of the file that the newest version does not have any more
        (".json", ""),  # statistics, and the condition of the DELETE
    }
    DeltaTable(str(table)).vacuum(0, enforce_retention_duration=False, dry_run=False)
    assert {Path(f.path).suffix for f in scan(tmp_path, NEEDLES).findings} == {".json"}


def test_what_cannot_be_decoded_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "a.avro").write_bytes(b"Obj\x01" + bytes(20))
    (tmp_path / "b.gz").write_bytes(b"\x1f\x8b broken")
    (tmp_path / "c.parquet").write_bytes(b"PAR1 broken PAR1")
    (tmp_path / "empty").touch()
    found = scan(tmp_path, NEEDLES)
    assert [finding.path for finding in found.findings] == ["a.avro", "b.gz", "c.parquet"]
    assert not any(finding.kinds for finding in found.findings)
    assert found.files[0].how == "not decoded"


@pytest.mark.parametrize(
    "text",
    [
        "C0000421",
        "XC000042",
        "C000042-1",
        "C000042_old",
        "éC000042",
        "bada.l+shop@example.com",
        "x.ada.l+shop@example.com",
        "ada.l+shop@example.com.au",
        "ada.l+shop@example.communal",
        "O000000170",
    ],
)
def test_a_longer_identifier_is_somebody_else(text: str) -> None:
    assert NEEDLES.found(f"a {text} b") == set()


@pytest.mark.parametrize(
    "name", ["O'Neil", "50% off", "a b c", "Zoë", "数据", 'the "x"', "a/b/c", "a\\b\\c", "A&B <c>", "C 0001"]
)
def test_an_id_may_have_any_character(name: str, tmp_path: Path) -> None:
    from urllib.parse import quote, quote_plus

    written = {
        "a.json": json.dumps({"customer_id": name}),
        "b.json": json.dumps({"customer_id": name}, ensure_ascii=False),
        "c.json": json.dumps({"stats": json.dumps({"min": name})}),
        "d.sql": "DELETE FROM t WHERE id = '" + name.replace("'", "''") + "'",
        "e.csv": '1,"' + name.replace('"', '""') + '"\n',
        "f.txt": f"/files/id={quote(name, safe='')}/part",
        "g.txt": f"?id={quote_plus(name)}",
    }
    for file, text in written.items():
        (tmp_path / file).write_text(text, encoding="utf-8")
    parquet(tmp_path / "h.parquet", pa.array([name]))
    found = scan(tmp_path, Needles({name: "customer_id"}))
    assert {Path(f.path).name for f in found.findings} == {*written, "h.parquet"}


def test_a_number_means_somebody_only_where_a_customer_is_named(tmp_path: Path) -> None:
    needles = Needles({"42": "customer_id", "17": RECORD})
    (tmp_path / "a.json").write_text('{"size": 42, "order": 17}')
    parquet(tmp_path / "b.parquet", pa.array(["42"]))
    assert scan(tmp_path, needles).clean
    (tmp_path / "c.json").write_text('{"customer_id": 42}')
    pq.write_table(pa.table({"customer_id": ["41", "42"]}), tmp_path / "d.parquet")
    (tmp_path / "e.json").write_text(json.dumps({"stats": json.dumps({"customer_id": "42"})}))
    found = scan(tmp_path, needles).findings
    assert [finding.path for finding in found if finding.where != "footer"] == [
        "c.json",
        "d.parquet",
        "e.json",
    ]


def test_findings_name_nobody(tmp_path: Path) -> None:
    PLANTED["text.log"](tmp_path / "text.log")
    (only,) = scan(tmp_path, NEEDLES).findings
    assert only == Finding(path="text.log", where="", kinds=("customer_id",))
    assert ID not in scan(tmp_path, NEEDLES).model_dump_json()
