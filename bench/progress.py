"""Prints one short line for each finished measurement that comes in as JSON, so that whoever waits sees it go on."""

import json
import sys

KEYS = ("cpu_us_per_item", "failed", "startup_ms", "bytes_per_contact", "shm_bytes_per_contact")

for line in sys.stdin:
    try:
        row = json.loads(line)
    except ValueError:
        continue
    shown = ", ".join(f"{key} {row[key]}" for key in KEYS if row.get(key) is not None)
    print(
        f"  run {row['run']} {row['server']:20} {row['workload']:13} {shown}{' (noisy)' if row.get('noisy') else ''}",
        flush=True,
    )
