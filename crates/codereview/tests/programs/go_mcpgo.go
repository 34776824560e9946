package tools

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

func Register(s *server.MCPServer) {
	s.AddTool(mcp.NewTool("ping"), handlePing)
	s.AddTool(mcp.NewTool("read"), readFile)
	s.AddTool(mcp.NewTool("get"), func(ctx context.Context, req mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		args := req.GetArguments()
		url, ok := args["url"].(string)
		if !ok {
			return mcp.NewToolResultError("url"), nil
		}
		resp, err := http.Get(url) // BAD ssrf
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		return mcp.NewToolResultText(mark(string(body))), err
	})
}

func handlePing(ctx context.Context, request mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	host, err := request.RequireString("host")
	if err != nil {
		return mcp.NewToolResultError(err.Error()), nil
	}
	cmd := exec.CommandContext(ctx, "sh", "-c", fmt.Sprintf("ping -c 1 %s", host)) // BAD command-injection
	out, err := cmd.CombinedOutput()
	return mcp.NewToolResultText(string(out)), err
}

func readFile(ctx context.Context, request mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	path := request.Params.Arguments["path"].(string)
	data, err := os.ReadFile(filepath.Join("/data", path)) // BAD path-traversal
	return mcp.NewToolResultText(string(data)), err
}

func readSafe(ctx context.Context, request mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	path := request.GetString("path", "")
	full := filepath.Clean(filepath.Join("/data", path))
	if !strings.HasPrefix(full, "/data"+string(filepath.Separator)) {
		return mcp.NewToolResultError("outside"), nil
	}
	data, err := os.ReadFile(full)
	return mcp.NewToolResultText(string(data)), err
}

func readLocal(ctx context.Context, request mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	path := request.GetString("path", "")
	if !filepath.IsLocal(path) {
		return mcp.NewToolResultError("outside"), nil
	}
	data, err := os.ReadFile(filepath.Join("/data", path))
	return mcp.NewToolResultText(string(data)), err
}
