package main

import (
	"context"
	"database/sql"
	"fmt"
	"os/exec"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

type PingParams struct {
	Host string `json:"host"`
}

type RowParams struct {
	Table string `json:"table"`
	ID    int    `json:"id"`
}

var db *sql.DB

func Ping(ctx context.Context, req *mcp.CallToolRequest, params PingParams) (*mcp.CallToolResult, any, error) {
	out, err := exec.Command("bash", "-c", "ping -c1 "+params.Host).Output() // BAD command-injection
	return text(out), nil, err
}

func Rows(ctx context.Context, req *mcp.CallToolRequest, params RowParams) (*mcp.CallToolResult, any, error) {
	query := fmt.Sprintf("SELECT * FROM %s WHERE id = %d", params.Table, params.ID)
	rows, err := db.QueryContext(ctx, query) // BAD sql-injection
	return text(rows), nil, err
}

func Count(ctx context.Context, req *mcp.CallToolRequest, params RowParams) (*mcp.CallToolResult, any, error) {
	rows, err := db.QueryContext(ctx, fmt.Sprintf("SELECT * FROM t WHERE id = %d", params.ID))
	return text(rows), nil, err
}

func main() {
	server := mcp.NewServer(&mcp.Implementation{Name: "x"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "ping"}, Ping)
	mcp.AddTool(server, &mcp.Tool{Name: "rows"}, Rows)
	mcp.AddTool(server, &mcp.Tool{Name: "count"}, Count)
}
