//! What all sinks promise alike.
