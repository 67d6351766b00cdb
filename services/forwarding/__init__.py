"""forwarding: passes what arrived on to the systems that were behind us, bit for bit."""
