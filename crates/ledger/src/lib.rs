//! Append-only, hash-chained log with views and tables: the only home of durable state.
