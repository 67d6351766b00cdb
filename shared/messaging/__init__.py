"""Events on NATS JetStream: envelope, bus, reliability, inbox and outbox, provisioning, dead letters."""
