//! The plugin that Fluent Bit loads.
