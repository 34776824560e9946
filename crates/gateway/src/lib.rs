//! Request flow of MCP calls: listener, pipeline, upstreams, recording.
