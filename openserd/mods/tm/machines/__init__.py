"""The state machines of RFC 3261 section 17 and what drives them: messages, timers, and what is done after a step."""
