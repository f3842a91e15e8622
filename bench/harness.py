#!/usr/bin/env python3
"""Performance harness for SIP servers on loopback.  See README.md.

    bench.py --spec servers/NAME.json WORKLOAD [--runs N] [--out FILE]

WORKLOAD: call register register_auth options lookup rss startup
          call_max register_max register_auth_max options_max
          all (every one the spec supports)

Prints one JSON line per run.  Needs Python 3.9+, Linux, and `sipp`.
"""

import argparse
import contextlib
import csv
import fcntl
import json
import os
import random
import shutil
import signal
import socket
import string
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SIPP = os.environ.get("SIPP", "sipp")
LOCK = os.environ.get("BENCH_LOCK", os.path.join(tempfile.gettempdir(), "bench.lock"))
PORT = int(os.environ.get("BENCH_PORT", "25460"))  # server
UAS_PORT = PORT + 30
UAC_PORT = PORT + 31
IP = "127.0.0.1"
TICK = os.sysconf("SC_CLK_TCK")
NCPU = os.cpu_count()

# fixed offered rates (per second) of the CPU figures
RATE = {"call": 100, "register": 500, "register_auth": 200, "options": 1000}
# largest rate the max search will offer
CEIL = {"call": 8000, "register": 40000, "register_auth": 20000, "options": 60000}
USERS = {"call": 1000, "register": 1000, "register_auth": 100, "options": 1000}
CONFIG = {
    "call": "hello",
    "register": "hello",
    "register_auth": "auth",
    "options": "options",
    "lookup": "location",
    "rss": "hello",
    "startup": "hello",
}


# ------------------------------------------------------------- machine lock


class Lock:
    """One timed measurement at a time on this machine (same file as flock(1))."""

    depth = 0

    def __enter__(self):
        Lock.depth += 1
        self.waited = 0.0
        if Lock.depth > 1:  # held already (--hold)
            return self
        self.fd = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        t = time.monotonic()
        fcntl.flock(self.fd, fcntl.LOCK_EX)
        self.waited = time.monotonic() - t
        return self

    def __exit__(self, *a):
        Lock.depth -= 1
        if Lock.depth:
            return
        fcntl.flock(self.fd, fcntl.LOCK_UN)
        os.close(self.fd)


# ------------------------------------------------------------ process trees


def stat_of(pid):
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            s = f.read()
    except OSError:
        return None
    r = s[s.rindex(b")") + 2 :].split()
    # ppid, start time, utime+stime of itself, and of its reaped children
    return {
        "ppid": int(r[1]),
        "state": r[0],
        "start": int(r[19]),
        "ticks": int(r[11]) + int(r[12]),
        "cticks": int(r[13]) + int(r[14]),
    }


def tree(root):
    """{pid: start time} of root and every live descendant."""
    kids, start = {}, {}
    for d in os.listdir("/proc"):
        if d.isdigit():
            s = stat_of(int(d))
            if s and s["state"] != b"Z":
                kids.setdefault(s["ppid"], []).append(int(d))
                start[int(d)] = s["start"]
    out, todo = {}, [root]
    while todo:
        p = todo.pop()
        if p in start and p not in out:
            out[p] = start[p]
            todo += kids.get(p, [])
    return out


def cpu_of(root):
    """CPU seconds so far of the tree, two ways.

    'stat' is utime+stime(+cutime+cstime) of /proc/PID/stat, in clock ticks
    (10 ms); 'sched' is /proc/PID/task/*/schedstat, in nanoseconds, of the live
    processes plus the reaped children's ticks.  They count the same time; sched
    is the finer, so it is the one used.
    """
    ticks = cticks = 0
    ns = 0
    pids = tree(root)
    for p in pids:
        s = stat_of(p)
        if not s:
            continue
        ticks += s["ticks"]
        cticks += s["cticks"]
        try:
            for t in os.listdir(f"/proc/{p}/task"):
                with open(f"/proc/{p}/task/{t}/schedstat") as f:
                    ns += int(f.read().split()[0])
        except OSError:
            pass
    return {"stat": (ticks + cticks) / TICK, "sched": ns / 1e9 + cticks / TICK, "procs": len(pids)}


def mem_of(root):
    """kB of the tree: PSS (and its shared-memory and anonymous parts), RSS."""
    out = {"Pss": 0, "Pss_Shmem": 0, "Pss_Anon": 0, "Rss": 0}
    n = 0
    for p in tree(root):
        try:
            with open(f"/proc/{p}/smaps_rollup") as f:
                for line in f:
                    k = line.split(":")[0]
                    if k in out:
                        out[k] += int(line.split()[1])
            n += 1
        except OSError:
            pass
    out["procs"] = n
    return out


def calibrate():
    """CPU ms of a fixed pure-Python loop, best of 5: how fast this core is now."""
    best = 1e9
    for _ in range(5):
        t = time.thread_time()
        x = 0
        for i in range(100000):
            x += i & 7
        best = min(best, time.thread_time() - t)
    return round(best * 1000, 2)


def machine_cpu():
    with open("/proc/stat") as f:
        v = [int(x) for x in f.readline().split()[1:]]
    idle = v[3] + v[4]
    return {"busy": (sum(v[:8]) - idle) / TICK, "steal": v[7] / TICK}


# ------------------------------------------------------------------- server


class Server:
    def __init__(self, spec, config):
        self.spec = spec
        self.config = config
        self.run = tempfile.mkdtemp(prefix="sipbench-")
        self.env = dict(os.environ)
        self.vars = {
            "port": str(PORT),
            "uas_port": str(UAS_PORT),
            "run": self.run,
            "here": HERE,
            "python": sys.executable,
        }
        for k, v in spec.get("defaults", {}).items():
            self.vars[k] = os.environ.get(k) or self.fill(v)
        for k in spec.get("needs_env", []):
            if k not in os.environ:
                sys.exit(f"{spec['name']}: set the environment variable {k}")
            self.vars[k] = os.environ[k]
        for k, v in spec.get("env", {}).items():
            self.env[k] = self.fill(v)
        self.root = None

    def fill(self, s):
        return string.Template(s).substitute(self.vars)

    def start(self):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            s.bind((IP, PORT))
        except OSError:
            sys.exit(f"port {PORT} is taken; set BENCH_PORT")
        finally:
            s.close()
        for cmd in self.spec.get("prepare", []):
            subprocess.run([self.fill(x) for x in cmd], check=True, env=self.env)
        argv = [self.fill(a) for a in self.spec["start"][self.config]]
        self.log = open(os.path.join(self.run, "log"), "wb")
        t = time.monotonic()
        self.popen = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            env=self.env,
            cwd=self.fill(self.spec.get("cwd", "$run")),
            start_new_session=True,
        )
        try:
            self.startup_s = self.wait_up(t)
            self.find_root()
            if not self.root or not tree(self.root):
                self.fail("no process found after the start")
        except BaseException:
            if not self.log.closed:  # ended while starting
                self.find_root()
                self.stop()
            raise
        return self

    def find_root(self):
        if self.spec.get("pid", "child") == "child":
            self.root = self.popen.pid
            return
        path = self.fill(self.spec["pid"])
        for _ in range(100):
            try:
                self.root = int(open(path).read().split()[0])
                return
            except (OSError, ValueError, IndexError):
                time.sleep(0.02)

    def fail(self, why):
        self.log.flush()
        tail = open(os.path.join(self.run, "log"), "rb").read()[-2000:].decode("latin-1")
        self.stop()
        sys.exit(f"{self.spec['name']}: {why}\n{tail}")

    def wait_up(self, t0, limit=30):
        """OPTIONS every 2 ms until any SIP reply comes; seconds since t0."""
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind((IP, 0))
        s.connect((IP, PORT))
        s.settimeout(0.002)
        me = "%s:%d" % s.getsockname()
        i = 0
        try:
            while time.monotonic() - t0 < limit:
                i += 1
                m = (
                    f"OPTIONS sip:nobody@{IP}:{PORT} SIP/2.0\r\n"
                    f"Via: SIP/2.0/UDP {me};branch=z9hG4bKup{i}\r\nMax-Forwards: 70\r\n"
                    f"From: <sip:up@{me}>;tag=up{i}\r\nTo: <sip:nobody@{IP}:{PORT}>\r\n"
                    f"Call-ID: up{i}-{os.getpid()}@{IP}\r\nCSeq: 1 OPTIONS\r\n"
                    f"Contact: <sip:up@{me}>\r\nContent-Length: 0\r\n\r\n"
                )
                try:
                    s.send(m.encode())
                    if s.recv(4096).startswith(b"SIP/2.0 "):
                        return time.monotonic() - t0
                except TimeoutError:
                    pass
                except ConnectionRefusedError:
                    time.sleep(0.002)
        finally:
            s.close()
        self.fail("no reply to OPTIONS")

    def cpu(self):
        return cpu_of(self.root)

    def stop(self):
        """Ends the processes of the tree we started, and only those."""
        members = {}
        for r in {self.root, self.popen.pid} - {None}:
            members.update(tree(r))

        def alive():
            self.popen.poll()
            return [p for p, st in members.items() if (s := stat_of(p)) and s["start"] == st and s["state"] != b"Z"]

        for sig, wait in ((signal.SIGTERM, 5), (signal.SIGKILL, 3)):
            live = alive()
            if not live:
                break
            first = [self.root] if sig == signal.SIGTERM and self.root in live else live
            for p in first:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(p, sig)
            end = time.monotonic() + wait
            while alive() and time.monotonic() < end:
                time.sleep(0.02)
        with contextlib.suppress(Exception):
            self.popen.wait(1)
        self.log.close()
        if not os.environ.get("BENCH_KEEP"):
            shutil.rmtree(self.run, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *a):
        self.stop()


# --------------------------------------------------------------------- SIPp

# Between 180 and 200, and between ACK and BYE.  Sent back to back they overtake each
# other in a proxy of several workers, which SIPp counts as failed calls.
GAP_MS = 20


def scenario(run, name, code="200", gap_ms=GAP_MS):
    src = open(os.path.join(HERE, "sipp", name + ".xml")).read().replace("@CODE@", code)
    src = src.replace("@GAP@", str(gap_ms))
    path = os.path.join(run, name + ".xml")
    open(path, "w").write(src)
    return path


def users_file(run, users):
    """`users` are names, or a number for user0 and so on."""
    names = users if isinstance(users, list) else [f"user{i}" for i in range(users)]
    path = os.path.join(run, "users.csv")
    with open(path, "w") as f:
        f.write("SEQUENTIAL\n")
        f.writelines(f"{name};[authentication username={name} password=secret];\n" for name in names)
    return path


def last_stat(path):
    try:
        with open(path, newline="") as f:
            rows = list(csv.DictReader(f, delimiter=";"))
        return rows[-1] if rows else {}
    except OSError:
        return {}


def sipp_common(run, name, port):
    stf = os.path.join(run, f"{name}.csv")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(stf)
    return stf, [
        "-i",
        IP,
        "-mi",
        IP,
        "-ci",
        IP,
        "-cp",
        str(port + 1000),
        "-mp",
        str(port + 2000),
        "-p",
        str(port),
        "-t",
        "u1",
        "-nostdin",
        "-buff_size",
        "4000000",
        "-key",
        "uasport",
        str(UAS_PORT),
        "-trace_stat",
        "-stf",
        stf,
        "-fd",
        "1",
    ]


ENV = dict(os.environ, TERM="xterm")


class Uas:
    def __init__(self, run):
        self.stf, args = sipp_common(run, "uas", UAS_PORT)
        # leaves by itself after ten minutes if this harness were killed
        self.p = subprocess.Popen(
            [SIPP, "-sf", scenario(run, "uas"), *args, "-timeout", "600s"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=ENV,
            cwd=run,
        )
        time.sleep(0.4)
        if self.p.poll() is not None:
            sys.exit("the SIPp UAS did not start")

    def cpu(self):
        return cpu_of(self.p.pid)["sched"]

    def close(self):
        time.sleep(1.1)  # the last line of its statistics
        self.p.kill()
        self.p.wait()
        return last_stat(self.stf)


def uac(run, name, rate, total, users=None, limit=None, slack=4.0, code="200", port=UAC_PORT, gap_ms=GAP_MS):
    """One bounded SIPp run; its counts."""
    stf, args = sipp_common(run, "uac", port)
    cmd = [
        SIPP,
        f"{IP}:{PORT}",
        "-sf",
        scenario(run, name, code, gap_ms),
        *args,
        "-r",
        str(int(rate)),
        "-m",
        str(int(total)),
        "-l",
        str(int(limit or total)),
        "-timeout",
        f"{total / rate + slack:.0f}s",
        "-timeout_error",
    ]
    if users:
        cmd += ["-inf", users_file(run, users)]
    t0 = time.monotonic()
    p = subprocess.Popen(
        cmd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=open(os.path.join(run, "sipp.err"), "ab"),
        env=ENV,
        cwd=run,
    )
    # bounded: SIPp ends at its own -timeout; a stuck one is killed
    end = t0 + total / rate + slack + 15
    ru = None
    try:
        while time.monotonic() < end:
            pid, status, r = os.wait4(p.pid, os.WNOHANG)
            if pid:
                ru = r
                break
            time.sleep(0.01)
    finally:
        if ru is None:
            p.kill()
            pid, status, ru = os.wait4(p.pid, 0)
        p.returncode = 0
    wall = time.monotonic() - t0
    s = last_stat(stf)
    g = lambda k: int(s.get(k) or 0)
    h, m, sec = (s.get("ElapsedTime(C)") or "0:0:0").split(":")[:3]
    rt = s.get("ResponseTime1(C)") or "0:0:0:0"
    rt = rt.split(":")
    # H:M:S:usec
    rt_ms = (int(rt[0]) * 3600 + int(rt[1]) * 60 + int(rt[2])) * 1000 + (int(rt[3]) / 1000 if len(rt) > 3 else 0)
    return {
        "ok": g("SuccessfulCall(C)"),
        "failed": g("FailedCall(C)"),
        "created": g("TotalCallCreated"),
        "retrans": g("Retransmissions(C)"),
        "total": int(total),
        "wall": wall,
        "rt_ms": rt_ms,
        "gen_cpu": ru.ru_utime + ru.ru_stime,
    }


def register_users(srv, n, name="register"):
    if srv.spec.get("no_register"):
        return
    for _ in range(2):
        # from the callee's port, for a registrar that goes by the source address
        r = uac(srv.run, name, 1000, n, users=n, limit=16, slack=20, port=UAS_PORT)
        if r["ok"] == n:
            return
    srv.fail(f"{name}: only {r['ok']} of {n} users could be registered: {r}")


# ---------------------------------------------------------------- workloads


def code_of(spec, workload):
    return str(spec.get("codes", {}).get(workload, 200))


def load(srv, workload, rate, seconds):
    """Offers `rate` for `seconds`; counts, with the UAS's where there is one."""
    total = max(1, int(rate * seconds))
    if workload == "call":
        uas = Uas(srv.run)
        try:
            c0 = uas.cpu()
            r = uac(srv.run, "uac", rate, total, users=USERS["call"], gap_ms=srv.spec.get("gap_ms", GAP_MS))
            r["gen_cpu"] += uas.cpu() - c0
        finally:
            s = uas.close()
        r["retrans"] += int(s.get("Retransmissions(C)") or 0)
    else:
        r = uac(srv.run, workload, rate, total, users=USERS[workload], code=code_of(srv.spec, workload))
    return r


def prepare(srv, workload):
    if workload in ("call", "register"):
        register_users(srv, USERS["call"])
    elif workload == "register_auth":
        register_users(srv, USERS["register_auth"], "register_auth")


def cpu_run(spec, workload, seconds):
    """CPU per item at the fixed rate."""
    rate = spec.get("rates", {}).get(workload, RATE[workload])
    drain = 6.0 if workload == "call" else 1.5  # wait timers of the transactions
    srv = Server(spec, CONFIG[workload])
    with Lock() as lk, srv:
        time.sleep(1)
        a = srv.cpu()
        t = time.monotonic()
        time.sleep(2)
        b = srv.cpu()
        idle = (b["sched"] - a["sched"]) / (time.monotonic() - t)
        prepare(srv, workload)
        load(srv, workload, rate, 2)  # warm up
        calib = calibrate()
        time.sleep(drain)
        m0, c0, t0 = machine_cpu(), srv.cpu(), time.monotonic()
        r = load(srv, workload, rate, seconds)
        time.sleep(drain)
        c1, t1, m1 = srv.cpu(), time.monotonic(), machine_cpu()
        used = c1["sched"] - c0["sched"]
        used_stat = c1["stat"] - c0["stat"]
        n = r["ok"]
        wall = t1 - t0
        busy = m1["busy"] - m0["busy"]
        per = lambda x: round(x / n * 1e6, 1) if n else None
        steal = (m1["steal"] - m0["steal"]) / wall / NCPU * 100
        other = (busy - used - r["gen_cpu"]) / wall / NCPU * 100
        return {
            "server": spec["name"],
            "workload": workload,
            "offered_per_s": rate,
            "noisy": steal > 5 or other > 15,
            "items": n,
            "failed": r["total"] - n,
            "retrans": r["retrans"],
            "cpu_us_per_item": per(used - idle * wall),
            "cpu_us_per_item_with_idle": per(used),
            "cpu_us_per_item_ticks": per(used_stat),
            "idle_cpu_ms_per_s": round(idle * 1000, 2),
            "generator_cpu_us_per_item": per(r["gen_cpu"]),
            "mean_latency_ms": r["rt_ms"],
            "procs": c1["procs"],
            "other_cpu_pct": round(other, 1),
            "steal_pct": round(steal, 2),
            "calib_ms": calib,
            "lock_waited_s": round(lk.waited, 1),
        }


def step(srv, workload, rate, seconds):
    m0, c0, t0 = machine_cpu(), srv.cpu(), time.monotonic()
    r = load(srv, workload, rate, seconds)
    c1, t1, m1 = srv.cpu(), time.monotonic(), machine_cpu()
    n, total = r["ok"], r["total"]
    wall = t1 - t0
    used = c1["sched"] - c0["sched"]
    busy = m1["busy"] - m0["busy"]
    late = r["wall"] > total / rate + max(0.6, 0.05 * total / rate)
    ok = (total - n) < 0.001 * total + (1 if total < 1000 else 0) and r["retrans"] < 0.005 * total and not late
    why = (
        ""
        if ok
        else ",".join(
            filter(
                None,
                [
                    "failed" if (total - n) >= 0.001 * total else "",
                    "retransmissions" if r["retrans"] >= 0.005 * total else "",
                    "generator late" if late else "",
                ],
            )
        )
    )
    return {
        "rate": rate,
        "pass": ok,
        "why": why,
        "ok": n,
        "total": total,
        "retrans": r["retrans"],
        "mean_latency_ms": r["rt_ms"],
        "cpu_us_per_item": round(used / n * 1e6, 1) if n else None,
        "server_cores": round(used / r["wall"], 2),
        "generator_cores": round(r["gen_cpu"] / r["wall"], 2),
        "other_cores": round((busy - used - r["gen_cpu"]) / wall, 2),
    }


def max_run(spec, workload, seconds, hint, resolution=0.06, max_steps=12):
    """Highest offered rate with < 0.1 % failed and < 0.5 % retransmissions.

    Ramps by 1.5 from the hint (down by 1.5 while it fails), then bisects.  A
    failed step is tried once more (the machine is shared) on a fresh server.
    The lock is held over the whole search, for the server lives through it.
    """
    lo = hi = None
    best = None
    rate = hint
    steps = []
    srv = None

    def fresh():
        s = Server(spec, CONFIG[workload]).start()
        time.sleep(0.5)
        prepare(s, workload)
        load(s, workload, min(rate, RATE[workload]), 1)
        return s

    try:
        while len(steps) < max_steps:
            for attempt in (1, 2):
                if srv is None:
                    srv = fresh()
                st = step(srv, workload, rate, seconds)
                if not st["pass"]:
                    srv.stop()
                    srv = None
                else:
                    time.sleep(0.5)
                steps.append(st)
                print("   ", json.dumps(st), file=sys.stderr, flush=True)
                if st["pass"] or (hi is not None and attempt == 2):
                    break
                if st["why"] == "generator late" and st["generator_cores"] > 0.9:
                    break
                if st["total"] - st["ok"] > 0.05 * st["total"]:
                    break  # far beyond; no second try
            if st["pass"]:
                lo, best = rate, st
            else:
                hi = rate
            if lo and hi and hi / lo <= 1 + resolution:
                break
            if lo and lo >= CEIL[workload]:
                break
            if hi is None:
                rate = min(int(lo * 1.5), CEIL[workload])
            elif lo is None:
                rate = int(hi / 1.5)
                if rate < 2:
                    break
            else:
                rate = (lo + hi) // 2
    finally:
        if srv:
            srv.stop()
    out = {
        "server": spec["name"],
        "workload": workload + "_max",
        "max_per_s": lo,
        "first_failed_per_s": hi,
        "steps": len(steps),
        "step_s": seconds,
    }
    if best:
        out.update(
            {
                k: best[k]
                for k in ("cpu_us_per_item", "server_cores", "generator_cores", "other_cores", "mean_latency_ms")
            }
        )
        out["per_core_s"] = round(1e6 / best["cpu_us_per_item"])
    out["stopped_by"] = next((s["why"] for s in reversed(steps) if s["rate"] == hi), "")
    return out


def lookup_run(spec, contacts, seconds):
    """CPU of an OPTIONS that is answered after a lookup, with 1000 contacts and with `contacts`: one row for each."""
    rows = []
    with Lock(), Server(spec, "location") as srv:
        for n in (1000, contacts):
            r = uac(srv.run, "register_fresh", 50000, n, limit=16, slack=400)
            if r["ok"] < n:
                srv.fail(f"only {r['ok']} of {n} contacts could be registered: {r}")
            names = [f"u{i}" for i in random.Random(n).sample(range(1, n + 1), 1000)]
            load = lambda s, names=names: uac(srv.run, "lookup", RATE["options"], RATE["options"] * s, users=names)
            load(2)  # warm up
            time.sleep(1.5)
            c0, t0 = srv.cpu()["sched"], time.monotonic()
            time.sleep(2)
            c1, t1, m1 = srv.cpu()["sched"], time.monotonic(), machine_cpu()
            r = load(seconds)
            c2, t2, m2 = srv.cpu()["sched"], time.monotonic(), machine_cpu()
            used, wall = c2 - c1, t2 - t1
            steal = (m2["steal"] - m1["steal"]) / wall / NCPU * 100
            other = (m2["busy"] - m1["busy"] - used - r["gen_cpu"]) / wall / NCPU * 100
            rows.append({
                "server": spec["name"],
                "workload": f"lookup_{n}",
                "noisy": steal > 5 or other > 15,
                "items": r["ok"],
                "failed": r["total"] - r["ok"],
                "cpu_us_per_item": round((used - (c1 - c0) / (t1 - t0) * wall) / max(1, r["ok"]) * 1e6, 1),
                "other_cpu_pct": round(other, 1),
                "steal_pct": round(steal, 2),
            })  # fmt: skip
    return rows


def rss_run(spec, contacts):
    srv = Server(spec, "hello")
    with Lock(), srv:
        time.sleep(1.5)
        idle = mem_of(srv.root)
        out = {
            "server": spec["name"],
            "workload": "rss",
            "procs": idle["procs"],
            "idle_pss_kb": idle["Pss"],
            "idle_rss_sum_kb": idle["Rss"],
            "idle_pss_shm_kb": idle["Pss_Shmem"],
        }
        if contacts and not spec.get("no_register"):
            # first 1000, so that what each process touches once is not counted
            r = uac(srv.run, "register_fresh", 50000, 1000, limit=16, slack=30)
            time.sleep(1)
            warm = mem_of(srv.root)
            c0, t0 = srv.cpu(), time.monotonic()
            # a new SIPp counts its calls from 1 again: same users first
            r = uac(srv.run, "register_fresh", 50000, contacts + 1000, limit=16, slack=400)
            t1, c1 = time.monotonic(), srv.cpu()
            time.sleep(1.5)
            full = mem_of(srv.root)
            n_grown = max(1, r["ok"] - 1000)
            out.update(
                {
                    "contacts": r["ok"] - 1000,
                    "not_ok": r["total"] - r["ok"],
                    "warm_pss_kb": warm["Pss"],
                    "full_pss_kb": full["Pss"],
                    "full_pss_shm_kb": full["Pss_Shmem"],
                    "bytes_per_contact": round((full["Pss"] - warm["Pss"]) * 1024 / n_grown),
                    "shm_bytes_per_contact": round((full["Pss_Shmem"] - warm["Pss_Shmem"]) * 1024 / n_grown),
                    "fill_s": round(t1 - t0, 1),
                    "fill_retrans": r["retrans"],
                    "fill_cpu_us_per_register": round((c1["sched"] - c0["sched"]) / max(1, r["ok"]) * 1e6, 1),
                }
            )
        return out


def startup_run(spec):
    with Lock():
        srv = Server(spec, "hello").start()
        time.sleep(0.5)
        c = srv.cpu()
        srv.stop()
    return {
        "server": spec["name"],
        "workload": "startup",
        "startup_ms": round(srv.startup_s * 1000, 1),
        "startup_cpu_ms": round(c["sched"] * 1000, 1),
        "procs": c["procs"],
    }


def emit(r, run, out):
    r["run"] = run
    r["at"] = time.strftime("%Y-%m-%dT%H:%M:%S")
    print(json.dumps(r), flush=True)
    if out:
        with open(out, "a") as f:
            f.write(json.dumps(r) + "\n")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--spec", required=True, action="append")
    ap.add_argument("workload", nargs="+")
    ap.add_argument("--runs", type=int, default=3)
    ap.add_argument("--seconds", type=float, default=10)
    ap.add_argument("--contacts", type=int, default=100000)
    ap.add_argument("--hint", type=int, help="where a max search starts")
    ap.add_argument("--hold", action="store_true", help="hold the machine's lock over all servers of one workload")
    ap.add_argument("--out", help="append the JSON lines to this file too")
    a = ap.parse_args()
    base = [
        "startup",
        "rss",
        "lookup",
        "options",
        "register",
        "register_auth",
        "call",
        "options_max",
        "register_max",
        "register_auth_max",
        "call_max",
    ]
    specs = [json.load(open(path)) for path in a.spec]
    # a server is not left behind when this is ended
    for sig in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(sig, lambda n, f: sys.exit(128 + n))
    hints = {}
    # run by run and server by server, so that a slow spell of the machine does
    # not fall on one server alone
    for i in range(a.runs):
        for w in base if a.workload == ["all"] else a.workload:
            kind = w[:-4] if w.endswith("_max") else w
            if kind not in CONFIG:
                sys.exit(f"no such workload: {w}")
            with Lock() if a.hold else contextlib.nullcontext():
                for spec in specs:
                    if kind in spec.get("unsupported", []):
                        continue
                    if w == "startup":
                        r = startup_run(spec)
                    elif w in ("rss", "lookup"):
                        if i:
                            continue  # once: filling takes long, and the first hardly varies
                        if w == "rss":
                            r = rss_run(spec, a.contacts)
                        else:
                            first, r = lookup_run(spec, a.contacts, a.seconds)
                            emit(first, i + 1, a.out)
                    elif w.endswith("_max"):
                        key = (spec["name"], kind)
                        hint = hints.get(key) or a.hint or spec.get("max_hint", {}).get(kind) or RATE[kind]
                        with Lock():
                            r = max_run(spec, kind, a.seconds, hint)
                        if r["max_per_s"]:
                            hints[key] = max(2, int(r["max_per_s"] * 0.92))
                    else:
                        r = cpu_run(spec, w, a.seconds)
                        if r["noisy"]:  # once more; both are kept
                            emit(r, i + 1, a.out)
                            r = cpu_run(spec, w, a.seconds)
                    emit(r, i + 1, a.out)


if __name__ == "__main__":
    main()
