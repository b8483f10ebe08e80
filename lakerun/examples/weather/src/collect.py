"""Writes the readings of one day into the volume: `collect.py FOLDER DAY`. One of them cannot be true."""

import json
import sys
from pathlib import Path

folder, day = sys.argv[1:]
readings = [("Bergen", 9.5), ("Bergen", 11.5), ("Oslo", 14.0), ("Oslo", -999.0)]
lines = [json.dumps({"station": station, "day": day, "celsius": celsius}) for station, celsius in readings]

Path(folder, f"{day}.json").write_text("\n".join(lines), encoding="utf-8")
print(f"{len(lines)} readings of {day}")
