//! One classification of HTTP answers for every sink, and how long to wait.
