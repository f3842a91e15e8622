"""Writes a dbtext folder with the subscribers of the bench: user0 to user99 of realm bench, each with the password
`secret`."""

import sys
from hashlib import md5
from pathlib import Path

N_USERS = 100


def main() -> None:
    """Writes the tables into the folder that is named."""
    folder = Path(sys.argv[1])
    folder.mkdir()
    (folder / "version").write_text("table_name(string) table_version(int)\nsubscriber:6\n")
    rows = [f"user{n}:{md5(b'user%d:bench:secret' % n).hexdigest()}\n" for n in range(N_USERS)]
    (folder / "subscriber").write_text("username(string) ha1(string)\n" + "".join(rows))


if __name__ == "__main__":
    main()
