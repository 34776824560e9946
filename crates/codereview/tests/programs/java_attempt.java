package demo;

import org.springframework.ai.tool.annotation.Tool;

class Fetch {
    @Tool(description = "fetches")
    public String fetch(String address) throws Exception {
        try {
            return direct(address);
        } catch (RuntimeException problem) {
            Runtime.getRuntime().exec(new String[] {"sh", "-c", "curl " + address}); // BAD command-injection
            return null;
        }
    }
}
