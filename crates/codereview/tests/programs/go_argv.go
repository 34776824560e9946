package git

import (
	"context"
	"os/exec"

	"github.com/mark3labs/mcp-go/mcp"
)

func run(args ...string) ([]byte, error) {
	return exec.Command("git", args...).CombinedOutput() // BAD argument-injection
}

func checkout(ctx context.Context, request mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	branch := request.GetString("branch", "")
	out, err := run("checkout", branch)
	return mcp.NewToolResultText(string(out)), err
}

func grep(ctx context.Context, request mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	pattern := request.GetString("pattern", "")
	out, err := exec.Command("git", "grep", "-e", pattern).Output()
	return mcp.NewToolResultText(string(out)), err
}
