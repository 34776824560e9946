package demo;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.List;
import org.springframework.ai.tool.annotation.Tool;
import org.springframework.ai.tool.annotation.ToolParam;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.web.client.RestTemplate;

@Service
public class Tools {
    private final JdbcTemplate jdbc;
    private final RestTemplate rest = new RestTemplate();

    @Tool(description = "Runs a command.")
    public String run(@ToolParam(description = "line") String line) throws Exception {
        Process process = Runtime.getRuntime().exec(new String[] {"sh", "-c", line}); // BAD command-injection
        return new String(process.getInputStream().readAllBytes());
    }

    @Tool(description = "Pings a host.")
    public String ping(String host) throws Exception {
        ProcessBuilder builder = new ProcessBuilder();
        builder.command("bash", "-c", "ping -c 1 " + host); // BAD command-injection
        return text(builder.start());
    }

    @Tool(description = "Rows of a table.")
    public List<String> rows(String table, int limit) {
        return jdbc.queryForList("SELECT name FROM " + table + " LIMIT " + limit, String.class); // BAD sql-injection
    }

    @Tool(description = "Reads a file.")
    public String read(String name) throws Exception {
        Path path = Paths.get("/data").resolve(name);
        return Files.readString(path); // BAD path-traversal
    }

    @Tool(description = "Fetches a page.")
    public String fetch(String url) {
        return mark(rest.getForObject(url, String.class)); // BAD ssrf
    }

    @Tool(description = "Reads a file below the root.")
    public String readBelow(String name) throws Exception {
        Path root = Paths.get("/data").toRealPath();
        Path path = root.resolve(name).normalize();
        if (!path.startsWith(root)) {
            throw new IllegalArgumentException(name);
        }
        return Files.readString(path);
    }

    @Tool(description = "Lists.")
    public String list(String name) throws Exception {
        return text(new ProcessBuilder("ls", "--", name).start());
    }
}

class Reports {
    @Tool(description = "Rows.")
    public String rows(String table) throws Exception {
        StringBuilder sql = new StringBuilder();
        sql.append("SELECT * FROM ");
        sql.append(table);
        return text(connection.createStatement().executeQuery(sql.toString())); // BAD sql-injection
    }
}
