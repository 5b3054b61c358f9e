//! Metrics, Events, status writing, health endpoints.
