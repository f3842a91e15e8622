"""What every part of the server shares: the message with its edits, where it goes, replies, and what modules declare.

`receive` is where a message comes in, `context` what one server knows, `module` the vocabulary of modules.
"""
