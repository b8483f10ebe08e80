"""Delta Lake's jars: fetched from Maven Central at the first start, checked, and kept."""

from __future__ import annotations

import hashlib
import os
import urllib.error
import urllib.request
from pathlib import Path

from lakerun.errors import LakerunError
from lakerun.files import write_file
from lakerun.spark.java import cache_root

# Spark's own jars have the other dependencies in delta-spark's POM, except those of the Unity Catalog client.
JARS = {
    "io/delta/delta-spark_4.2_2.13/4.4.0/delta-spark_4.2_2.13-4.4.0.jar": (
        "27d4fd8b1f879535c573ed1c718177d6a27f24d3e626ba02e216369725721ead"
    ),
    "io/delta/delta-storage/4.4.0/delta-storage-4.4.0.jar": (
        "c46735481fa8e326b0957be02b4420cbcab4b325bb08009b7f2045a95133f1cc"
    ),
}
MAVEN_CENTRAL = "https://repo1.maven.org/maven2"
TIMEOUT_SECONDS = 60


def delta_jars() -> list[Path]:
    """Delta's jars on this machine; those that are missing are fetched.

    `LAKEHOUSE_MAVEN_REPOSITORY` names a mirror to fetch from. Raises LakerunError in one line if a jar
    cannot be downloaded or its checksum differs.
    """
    return [_jar(path, digest) for path, digest in JARS.items()]


def _jar(path: str, digest: str) -> Path:
    jar = cache_root() / "jars" / path.rpartition("/")[2]
    if jar.exists():
        return jar
    repository = os.environ.get("LAKEHOUSE_MAVEN_REPOSITORY") or MAVEN_CENTRAL
    url = f"{repository.rstrip('/')}/{path}"
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response:
            content = response.read()
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise LakerunError(
            f"{jar.name} could not be downloaded from {repository} ({reason}). Connect to the network for "
            "the first start, or name a mirror in LAKEHOUSE_MAVEN_REPOSITORY; later starts need none."
        ) from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise LakerunError(f"{url} is not the {jar.name} that was published; its checksum differs.")
    write_file(jar, content)
    return jar
