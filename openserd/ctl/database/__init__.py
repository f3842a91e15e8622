"""openserdbctl: makes, checks, upgrades, copies and drops the databases that openserd works with.

It does the work of OpenSER's mysqldb.sh, postgresqldb.sh and textdb.sh, and needs no running server.
"""
