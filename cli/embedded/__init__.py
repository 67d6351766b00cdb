"""Everything on one box: the bus, two stand-in clouds and every service as processes on loopback."""
