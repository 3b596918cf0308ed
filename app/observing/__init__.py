"""An installation seen from outside: metrics for Prometheus, traces for OpenTelemetry."""
