//! Who does own: the lease protocol as a state machine without IO or clock.
