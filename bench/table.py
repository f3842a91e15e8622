#!/usr/bin/env python3
"""Markdown table of medians (min-max) [runs, if under 3] out of bench.py's JSON lines.

    table.py FILE.jsonl [FILE.jsonl ...] [--json OUT.json]

--json also writes one file with the medians and every run behind them.
"""

import json
import os
import platform
import statistics as st
import sys

args = sys.argv[1:]
out = None
if "--json" in args:
    i = args.index("--json")
    out = args[i + 1]
    del args[i : i + 2]
rows = [json.loads(l) for f in args for l in open(f) if l.strip()]
# A run in which the host took the cores away or somebody else used them does not
# count where there are others of the same; --json keeps it under "runs".
noisy = lambda r: r.get("steal_pct", 0) > 5 or r.get("other_cpu_pct", 0) > 15
everything = rows
clean = {(r["server"], r["workload"]) for r in rows if not noisy(r)}
rows = [r for r in rows if not (noisy(r) and (r["server"], r["workload"]) in clean)]
order = []
for r in rows:
    if r["server"] not in order:
        order.append(r["server"])


def vals(server, workload, key):
    return [r[key] for r in rows if r["server"] == server and r["workload"] == workload and r.get(key) is not None]


def num(x):
    return f"{x:,.0f}" if abs(x) >= 100 else f"{x:.1f}" if abs(x) >= 10 else f"{x:.2f}"


def cell(server, workload, key):
    v = vals(server, workload, key)
    if not v:
        return "-"
    m = num(st.median(v))
    if len(v) > 1 and min(v) != max(v):
        m += f" ({num(min(v))}-{num(max(v))})"
    return m if len(v) > 2 or key.startswith(("full", "idle", "bytes", "shm", "fill", "procs")) else m + f" [{len(v)}]"


TABLES = [
    (
        "CPU of the server's whole process tree, microseconds per item at a fixed rate",
        [
            ("call", "call", "cpu_us_per_item"),
            ("call, no gaps", "call_gap0", "cpu_us_per_item"),
            ("REGISTER", "register", "cpu_us_per_item"),
            ("REGISTER+digest", "register_auth", "cpu_us_per_item"),
            ("OPTIONS", "options", "cpu_us_per_item"),
            ("lookup, 1000 contacts", "lookup_1000", "cpu_us_per_item"),
            ("lookup, 100k contacts", "lookup_100000", "cpu_us_per_item"),
        ],
    ),
    (
        "The same near saturation (last rate sustained in the max search)",
        [
            ("call", "call_max", "cpu_us_per_item"),
            ("REGISTER", "register_max", "cpu_us_per_item"),
            ("REGISTER+digest", "register_auth_max", "cpu_us_per_item"),
            ("OPTIONS", "options_max", "cpu_us_per_item"),
        ],
    ),
    (
        "Highest sustained rate, items a second, on this machine shared with SIPp",
        [
            ("call", "call_max", "max_per_s"),
            ("REGISTER", "register_max", "max_per_s"),
            ("REGISTER+digest", "register_auth_max", "max_per_s"),
            ("OPTIONS", "options_max", "max_per_s"),
            ("server cores at call max", "call_max", "server_cores"),
            ("SIPp cores at call max", "call_max", "generator_cores"),
        ],
    ),
    (
        "Start and memory",
        [
            ("first reply, ms", "startup", "startup_ms"),
            ("CPU to start, ms", "startup", "startup_cpu_ms"),
            ("processes", "startup", "procs"),
            ("idle PSS, kB", "rss", "idle_pss_kb"),
            ("PSS with 100k contacts, kB", "rss", "full_pss_kb"),
            ("bytes a contact", "rss", "bytes_per_contact"),
            ("of these shared", "rss", "shm_bytes_per_contact"),
            ("us per REGISTER of the fill", "rss", "fill_cpu_us_per_register"),
        ],
    ),
    (
        "Bare UDP echo of 400 bytes, CPU microseconds per datagram",
        [
            ("paced 1000/s", "echo_paced", "cpu_us_per_item"),
            ("saturated", "echo_full", "cpu_us_per_item"),
            ("saturated, per second", "echo_full", "per_s"),
        ],
    ),
    (
        "Parsing one INVITE of 551 bytes in Python packages, CPU microseconds",
        [("parse", "parse", "cpu_us_per_item"), ("parse and serialise", "parse+build", "cpu_us_per_item")],
    ),
]
for title, cols in TABLES:
    ws = {c[1] for c in cols}
    who = [s for s in order if any(r["server"] == s and r["workload"] in ws for r in rows)]
    cols = [c for c in cols if any(vals(s, c[1], c[2]) for s in who)]
    if not who or not cols:
        continue
    print(f"**{title}**\n")
    print("| server | " + " | ".join(c[0] for c in cols) + " |")
    print("| --- |" + " ---: |" * len(cols))
    for s in who:
        print(f"| {s} | " + " | ".join(cell(s, c[1], c[2]) for c in cols) + " |")
    print()
cal = [r["calib_ms"] for r in rows if r.get("calib_ms")]
if cal:
    print(f"Calibration loop: {num(st.median(cal))} ms ({num(min(cal))}-{num(max(cal))}).")
if len(everything) > len(rows):
    print(
        f"\n{len(everything) - len(rows)} of {len(everything)} runs left out: steal over 5 % or other load over 15 %."
    )
if out:
    med = {}
    for r in rows:
        w = med.setdefault(r["server"], {}).setdefault(r["workload"], {})
        for k, v in r.items():
            if isinstance(v, (int, float)) and not isinstance(v, bool) and k != "run":
                w.setdefault(k, []).append(v)
    med = {
        s: {
            w: {k: {"median": round(st.median(v), 3), "min": min(v), "max": max(v), "n": len(v)} for k, v in d.items()}
            for w, d in ws.items()
        }
        for s, ws in med.items()
    }
    cpu = next((l.split(":", 1)[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "")
    about = {
        "cores": os.cpu_count(),
        "cpu": cpu,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "from": min(r["at"] for r in rows),
        "to": max(r["at"] for r in rows),
        "units": "see README.md",
    }
    json.dump({"machine": about, "summary": med, "runs": everything}, open(out, "w"), indent=1)
    open(out, "a").write("\n")
