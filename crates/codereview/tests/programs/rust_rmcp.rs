use rmcp::{handler::server::{router::tool::ToolRouter, wrapper::Parameters}, model::*, schemars, tool, tool_router, ErrorData as McpError};
use std::process::Command;

#[derive(serde::Deserialize, schemars::JsonSchema)]
pub struct RunArgs {
    pub command: String,
    pub path: String,
    pub count: u32,
}

#[tool_router]
impl Shell {
    #[tool(description = "Runs a line.")]
    async fn run(&self, Parameters(args): Parameters<RunArgs>) -> Result<CallToolResult, McpError> {
        let output = Command::new("sh")
            .arg("-c")
            .arg(&args.command) // BAD command-injection
            .output();
        Ok(CallToolResult::success(vec![Content::text(String::from_utf8_lossy(&output.unwrap().stdout))]))
    }

    #[tool(description = "Reads a file.")]
    async fn read(&self, Parameters(RunArgs { path, .. }): Parameters<RunArgs>) -> Result<CallToolResult, McpError> {
        let text = tokio::fs::read_to_string(&path).await.map_err(internal)?; // BAD path-traversal
        Ok(CallToolResult::success(vec![Content::text(text)]))
    }

    #[tool(description = "Searches.")]
    async fn search(&self, Parameters(args): Parameters<RunArgs>) -> Result<CallToolResult, McpError> {
        let mut command = tokio::process::Command::new("bash");
        command.arg("-c");
        command.arg(format!("grep -r {} .", args.path)); // BAD command-injection
        let out = command.output().await;
        Ok(done(out))
    }

    #[tool(description = "Fetches.")]
    async fn fetch(&self, #[tool(param)] url: String) -> Result<CallToolResult, McpError> {
        let body = reqwest::get(&url).await.map_err(internal)?.text().await.map_err(internal)?; // BAD ssrf
        Ok(CallToolResult::success(vec![Content::text(mark(body))]))
    }

    #[tool(description = "Lists.")]
    async fn list(&self, Parameters(args): Parameters<RunArgs>) -> Result<CallToolResult, McpError> {
        let out = Command::new("ls").arg("--").arg(&args.path).output();
        let line = format!("head -n {} log", args.count);
        let other = Command::new("sh").arg("-c").arg(line).output();
        Ok(done2(out, other))
    }

    #[tool(description = "Reads below the root.")]
    async fn read_below(&self, Parameters(args): Parameters<RunArgs>) -> Result<CallToolResult, McpError> {
        let full = self.root.join(&args.path).canonicalize().map_err(internal)?;
        if !full.starts_with(&self.root) {
            return Err(McpError::invalid_params("outside", None));
        }
        let text = std::fs::read_to_string(&full).map_err(internal)?;
        Ok(CallToolResult::success(vec![Content::text(text)]))
    }
}
