//! The hotel MCP server that ships inside Airside.
