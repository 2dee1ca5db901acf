package edge;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;

/** The shop's edge. Its routes are configuration. */
@SpringBootApplication
public class Edge {
    public static void main(String[] arguments) {
        SpringApplication.run(Edge.class, arguments);
    }
}
