"""For agents: investigations as tools of an MCP server, each in a process of its own."""
