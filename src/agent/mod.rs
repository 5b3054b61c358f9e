//! The only place where the rooms meet: watches in, actions out, deadlines, shutdown.
