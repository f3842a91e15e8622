"""Routing scripts for tests, made from a few choices."""

from collections.abc import Iterable

_MODULES = ("sl", "tm", "rr", "maxfwd", "usrloc", "registrar", "textops", "xlog", "mi_fifo")

_ROUTES = """
route {
    if (!mf_process_maxfwd_header("10")) {
        sl_send_reply("483", "Too Many Hops");
        exit;
    };
    if (msg:len >= 2048) {
        sl_send_reply("513", "Message too big");
        exit;
    };
    if (!method=="REGISTER")
        record_route();
    if (loose_route()) {
        append_hf("P-hint: rr-enforced\\r\\n");
        route(1);
    };
    if (!uri==myself) {
        append_hf("P-hint: outbound\\r\\n");
        route(1);
    };
    if (method=="REGISTER") {
        save("location");
        exit;
    };
    if (method=="OPTIONS" && uri=~"^sip:ping@") {
        sl_send_reply("200", "alive");
        exit;
    };
    if (!lookup("location")) {
        sl_send_reply("404", "Not Found");
        exit;
    };
    append_hf("P-hint: usrloc applied\\r\\n");
    route(1);
}

route[1] {
    if (!t_relay())
        sl_reply_error();
    exit;
}
"""


def hello_world(
    *,
    children: int = 2,
    socket_mode: str = "",
    gather_load: bool = False,
    full_lr: bool = True,
    params: Iterable[str] = (),
    settings: Iterable[str] = (),
    debug: int = 2,
) -> str:
    """The Hello World script with what a test wants to vary.

    `params` are `modparam` argument lists such as `'"tm", "fr_inv_timer", 2'`, `settings` whole lines of
    global parameters, `socket_mode` "reuseport", "shared" or empty for the server's own choice.
    Without `gather_load` the messages of several phones meet several workers, as they do in a loaded server.
    `OPTIONS sip:ping@...` is answered without a transaction. Server fills in `@FIFO@` and `@RUN@`.
    """
    lines = [
        f"debug={debug}",
        "log_stderror=yes",
        f"children={children}",
        "dns=no",
        "rev_dns=no",
        "disable_tcp=yes",
        f"gather_load={int(gather_load)}",
    ]
    if socket_mode:
        lines.append(f"socket_mode={socket_mode}")
    lines += settings
    lines += [f'loadmodule "{name}.so"' for name in _MODULES]
    arguments = [
        '"usrloc", "db_mode", 0',
        f'"rr", "enable_full_lr", {int(full_lr)}',
        '"mi_fifo", "fifo_name", "@FIFO@"',
        '"mi_fifo", "reply_dir", "@RUN@/"',
        *params,
    ]
    lines += [f"modparam({text})" for text in arguments]
    return "\n".join(lines) + "\n" + _ROUTES
