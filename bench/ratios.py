"""openserd's figures as multiples of Kamailio's, from the lines of one run, with the targets beside them; then what
a hundredfold number of contacts does to a lookup of each, and the shared memory of a contact."""

import json
import statistics
import sys
from pathlib import Path

TARGETS = {"call": 2.0, "register": 2.5, "register_auth": 2.5, "options": 2.0}
LOOKUPS = ("lookup_1000", "lookup_100000")


def medians(rows: list[dict[str, object]], server: str) -> dict[str, float]:
    """CPU microseconds per item by workload; runs on a disturbed machine only where there is no other."""
    found: dict[str, float] = {}
    for workload in (*TARGETS, *LOOKUPS):
        mine = [row for row in rows if str(row["server"]).startswith(server) and row["workload"] == workload]
        quiet = [row for row in mine if not row.get("noisy")] or mine
        values = [float(str(row["cpu_us_per_item"])) for row in quiet if row.get("cpu_us_per_item")]
        if values:
            found[workload] = statistics.median(values)
    return found


def contact_bytes(rows: list[dict[str, object]], server: str) -> float:
    """Shared memory of one contact, 0 where it was not measured."""
    found = [row.get("shm_bytes_per_contact") for row in rows if str(row["server"]).startswith(server)]
    return next((float(str(value)) for value in found if value), 0.0)


def print_location(rows: list[dict[str, object]]) -> None:
    """Prints what contacts cost each server; the targets are openserd's."""
    for server in ("openserd", "kamailio"):
        found = medians(rows, server)
        if all(name in found for name in LOOKUPS):
            few, many = (found[name] for name in LOOKUPS)
            print(
                f"{server}: request with a lookup {few:,.0f} us with 1000 contacts, {many:,.0f} us with 100,000, "
                f"ratio {many / few:.2f} (target 0.8 to 1.2)"
            )
        if shared := contact_bytes(rows, server):
            print(f"{server}: {shared:,.0f} bytes of shared memory a contact (target 450)")


def main() -> None:
    """Prints the table."""
    rows = [json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()]
    ours, theirs = medians(rows, "openserd"), medians(rows, "kamailio")
    print_location(rows)
    if not theirs:
        return
    print("| workload | openserd us | Kamailio us | ratio | target |\n| --- | ---: | ---: | ---: | ---: |")
    for workload, target in TARGETS.items():
        if workload in ours and workload in theirs:
            print(
                f"| {workload} | {ours[workload]:,.0f} | {theirs[workload]:,.0f} | "
                f"{ours[workload] / theirs[workload]:.2f} | {target} |"
            )


if __name__ == "__main__":
    main()
