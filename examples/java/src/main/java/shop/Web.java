package shop;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.Map;
import java.util.concurrent.Executors;

/** Routes and JSON answers on the JDK's own server, so that there is nothing here but the shop and its telemetry. */
final class Web {
  private static final int THREADS = 16;
  private static final ObjectMapper JSON = new ObjectMapper();

  private final Telemetry telemetry;
  private final HttpServer server;

  interface Handler {
    Answer handle(Request request) throws Exception;
  }

  Web(Telemetry telemetry, String host, int port) throws IOException {
    this.telemetry = telemetry;
    server = HttpServer.create(new InetSocketAddress(host, port), 0);
    server.setExecutor(Executors.newFixedThreadPool(THREADS));
    telemetry.trace(server.createContext("/", exchange -> send(exchange, Answer.error(404, "not_found"))));
    // Not traced: nobody wants to read of it.
    server.createContext("/healthz", exchange -> send(exchange, new Answer(200, Map.of("status", "ok"))));
  }

  /** Adds a route, whose path becomes http.route. A path that ends in "/" has a parameter behind it. */
  void on(String method, String path, Handler handler) {
    telemetry.trace(server.createContext(path, exchange -> {
      // The server finds routes by how paths begin, so the rest is looked at here.
      String rest = exchange.getRequestURI().getPath().substring(path.length());
      boolean found = path.endsWith("/") ? rest.matches("[^/]+") : rest.isEmpty();
      if (found && exchange.getRequestMethod().equals(method)) {
        send(exchange, answer(new Request(exchange, rest), handler));
      } else {
        send(exchange, Answer.error(404, "not_found"));
      }
    }));
  }

  int start() {
    server.start();
    return server.getAddress().getPort();
  }

  private static Answer answer(Request request, Handler handler) {
    try {
      return handler.handle(request);
    } catch (Refusal refusal) {
      return Answer.error(refusal.status, refusal.answer);
    } catch (Request.Unreadable unreadable) {
      return Answer.error(400, "bad_request");
    } catch (Exception failed) {
      Telemetry.log("ERROR", "failed: " + failed.getClass().getName());
      return Answer.error(503, "unavailable");
    }
  }

  private static void send(HttpExchange exchange, Answer answer) throws IOException {
    byte[] body = JSON.writeValueAsBytes(answer.body());
    exchange.getResponseHeaders().set("Content-Type", "application/json");
    // So that whoever was refused can say which request it was.
    exchange.getResponseHeaders().set("x-trace-id", Telemetry.traceId());
    if (answer.status() == 401) {
      exchange.getResponseHeaders().set("WWW-Authenticate", "Bearer");
    }
    try (exchange) {
      exchange.sendResponseHeaders(answer.status(), body.length);
      exchange.getResponseBody().write(body);
    }
  }
}
