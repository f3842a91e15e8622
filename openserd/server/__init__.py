"""The processes of a server: `assembly` puts one together, `master` starts and replaces them, each role has a file."""
