"""What every Natter service stands on: settings, NATS link, leases, telemetry, health, drain."""
