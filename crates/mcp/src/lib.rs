//! MCP wire codec: envelope, revisions, streams, client. It forwards bytes and models no results.
