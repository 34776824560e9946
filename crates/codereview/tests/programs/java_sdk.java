package demo;

import io.modelcontextprotocol.server.McpServer;
import io.modelcontextprotocol.server.McpServerFeatures;
import io.modelcontextprotocol.spec.McpSchema;
import java.nio.file.Files;
import java.nio.file.Path;

public class Server {
    static McpServerFeatures.SyncToolSpecification exec() {
        return new McpServerFeatures.SyncToolSpecification(tool("exec"), (exchange, args) -> {
            String command = (String) args.get("command");
            Process process = new ProcessBuilder("/bin/sh", "-c", command).start(); // BAD command-injection
            return result(process);
        });
    }

    static McpServerFeatures.SyncToolSpecification read() {
        return McpServerFeatures.SyncToolSpecification.builder()
            .tool(tool("read"))
            .callHandler((exchange, request) -> {
                String path = request.arguments().get("path").toString();
                return result(Files.readString(Path.of(path))); // BAD path-traversal
            })
            .build();
    }

    public static void main(String[] args) {
        McpServer.sync(transport).tools(exec(), read()).build();
    }
}
