//! A proxy that damages what it passes on.
